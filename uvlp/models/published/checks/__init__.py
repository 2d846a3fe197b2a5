"""Check the architecture of a model by its configuration and tensors."""
