"""Training loops of the models: schedule, state, checks of the loss."""
