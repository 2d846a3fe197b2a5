"""From a recipe to the artifacts of its table."""
