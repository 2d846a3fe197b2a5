"""Captioners: one file each, from images to texts."""
