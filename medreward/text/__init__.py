"""A text as a model writes it: words, parts of a completion, reason codes. No task is known."""
