"""What a sentence asserts about labels: cues of denial and doubt, scope, commitment."""
