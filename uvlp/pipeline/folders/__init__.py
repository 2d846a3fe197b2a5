"""Image folders of any source: rows of `uvlp evaluate`, and the selection of images."""
