"""Image files: format, size, metadata and pixels."""
