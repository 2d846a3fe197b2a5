"""Captions as files and as text: formats, tables, what an image's row is."""
