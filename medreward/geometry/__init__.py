"""Boxes, masks and frames, and how alike two of them are. No task is known here."""
