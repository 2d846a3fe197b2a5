"""Settings of all tests."""

import os

# pytest-xdist sets it; lines would be wrapped to it.
os.environ.pop("COLUMNS", None)
