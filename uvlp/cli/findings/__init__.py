"""What `uvlp doctor` looks at, one file each."""
