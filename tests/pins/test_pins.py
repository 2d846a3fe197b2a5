"""The code of every plug-in has not changed since its REVISION was last reviewed."""

from tests.pins.pins import Pins, State, report


def test_the_pins_are_current(state: State) -> None:
    changes = report(Pins.read(), state)
    assert not changes, changes
