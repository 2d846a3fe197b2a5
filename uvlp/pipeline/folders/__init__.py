"""Image folders that anyone made: rows of `uvlp evaluate`, and which images count."""
