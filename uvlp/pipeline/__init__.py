"""Planning and running of recipes, from settings to the artifacts of a table."""
