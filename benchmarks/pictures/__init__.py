"""The pictures of README and docs, each made from the code and data that it shows."""
