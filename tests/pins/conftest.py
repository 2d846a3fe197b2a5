"""The current package, read once."""

import pytest

from tests.pins.closure import Reader
from tests.pins.pins import PACKAGE, State, read
from tests.pins.sources import Package


@pytest.fixture(scope="session")
def reader() -> Reader:
    """Return a reader of the package."""
    return Reader(Package(PACKAGE))


@pytest.fixture(scope="session")
def state(reader: Reader) -> State:
    """Return the closures of all plug-ins."""
    return read(reader)
