"""A page to look at: a finished run of the store as one self-contained HTML file, and its figures."""
