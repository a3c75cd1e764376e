"""Files and processes: atomic writes, a pool of processes, Markdown."""
