"""What a run did: metrics of scored completions, and a report to look at."""
