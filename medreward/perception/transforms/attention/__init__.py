"""Transforms that point a model to where it should look."""
