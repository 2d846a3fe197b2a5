"""Datasets of the hub: fetched once at a commit, kept as folders of the image files that their rows hold."""
