"""Localisation: how boxes in an answer are read, matched with the true ones and rewarded."""
