"""What goes to other places and comes from them: exported images, the hub, results; patches, baselines."""
