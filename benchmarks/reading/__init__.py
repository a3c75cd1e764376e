"""How much of labelled answers a reader reads, and what it pays for that it should not."""
