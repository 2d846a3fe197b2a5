"""Published models: where they lie, what they are, how they are fetched."""
