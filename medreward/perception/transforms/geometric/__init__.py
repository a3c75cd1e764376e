"""Transforms that move things: images, masks, boxes and words about sides go together."""
