"""Settings of all tests."""

import gc
import os
from collections.abc import Iterator

import pytest

# pytest-xdist sets it; lines would be wrapped to it.
os.environ.pop("COLUMNS", None)

# A process of pytest-xdist keeps to one core, as do those that it starts: on two cores each command would
# start two workers, both of which import torch, beside the two of another test.
CORES = sorted(os.sched_getaffinity(0))
if (process := os.environ.get("PYTEST_XDIST_WORKER")) is not None:
    os.sched_setaffinity(0, {CORES[int(process.removeprefix("gw")) % len(CORES)]})

# Collecting makes millions of objects that live to the end, torch's among them: no garbage is searched for
# in them while they are made, nor later with every search.
gc.disable()


@pytest.fixture
def every_core() -> Iterator[None]:
    """Every core for a test of threads or of several workers."""
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CORES)
    yield
    os.sched_setaffinity(0, kept)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # extension modules complain of what is left at the end
