"""Reading, checking and writing of files."""
