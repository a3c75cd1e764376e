"""Kinds of task: the only place that knows a kind by its name."""
