"""Transforms that change values and move nothing."""
