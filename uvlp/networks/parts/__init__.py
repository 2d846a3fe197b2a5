"""Layers and blocks that the test networks share."""
