"""Settings of all tests."""

import gc
import os

# pytest-xdist sets it; lines would be wrapped to it.
os.environ.pop("COLUMNS", None)

# Collecting makes millions of objects that live to the end, torch's among them: no garbage is searched for
# in them while they are made, nor later with every search.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # extension modules complain of what is left at the end
