"""Sources: a folder or a file -> records, whose images are opened later and elsewhere."""
