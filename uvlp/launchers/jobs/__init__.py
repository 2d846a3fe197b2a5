"""Jobs of a cluster: their tasks, the process on a node, and the files that report the outcome."""
