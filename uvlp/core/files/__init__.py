"""Files of the user and of others: read carefully, named exactly."""
