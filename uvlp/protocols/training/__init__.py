"""Training and validation of test networks, shared by the protocols."""
