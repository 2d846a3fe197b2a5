"""Published models: find, check and fetch them."""
