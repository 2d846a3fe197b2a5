"""Carrying out a plan: what is missing, the processes that make it, and the making of one artifact."""
