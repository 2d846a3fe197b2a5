"""Images in one archive per split, which a node of a cluster copies to its own disk instead of many files."""
