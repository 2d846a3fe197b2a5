"""Runs of a store: their journals, which other processes read while a run lasts and after it was killed."""
