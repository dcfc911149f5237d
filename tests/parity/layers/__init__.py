"""Layers written by hand in several styles, right or with a bug that is named."""
