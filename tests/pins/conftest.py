"""The package as it stands, read once."""

import pytest

from tests.pins.closure import Reader
from tests.pins.pins import PACKAGE, State, read
from tests.pins.sources import Package


@pytest.fixture(scope="session")
def reader() -> Reader:
    """All trees of the package."""
    return Reader(Package(PACKAGE))


@pytest.fixture(scope="session")
def state(reader: Reader) -> State:
    """Every plug-in's closure."""
    return read(reader)
