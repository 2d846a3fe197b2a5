"""One image file: its format, size, metadata and pixels."""
