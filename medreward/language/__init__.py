"""What an answer asserts about labels: its words, the vocabularies of languages, the grammar."""
