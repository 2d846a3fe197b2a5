"""`uvlp doctor` and its checks, one file per subject."""
