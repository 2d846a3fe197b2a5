"""Optimisation of images, and what methods of this kind share."""
