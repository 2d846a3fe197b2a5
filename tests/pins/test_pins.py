"""The code behind every plug-in is what it was when its REVISION was last thought about."""

from tests.pins.pins import Pins, State, report


def test_the_pins_are_current(state: State) -> None:
    found = report(Pins.read(), state)
    assert not found, found
