"""Checks that stored artifacts are complete and intact."""
