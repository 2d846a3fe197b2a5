"""Sections of the report, one file each: from a run to titles, texts, figures and tables."""
