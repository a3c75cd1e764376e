"""Completion formats: where reasoning and answer stand in what a model writes."""
