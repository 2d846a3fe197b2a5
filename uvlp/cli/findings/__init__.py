"""The checks of `uvlp doctor`, one file per subject."""
