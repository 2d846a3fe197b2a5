"""The code of every plug-in has not changed since its REVISION was last reviewed."""

from tests.pins import defaults
from tests.pins.pins import COMMAND, Pins, State, report


def test_the_pins_are_current(state: State) -> None:
    changes = report(Pins.read(), state)
    assert not changes, changes


def test_the_defaults_are_current() -> None:
    committed, current = defaults.read(), defaults.current()
    changed = sorted(name for name in {*committed, *current} if committed.get(name) != current.get(name))
    assert not changed, f"raise the REVISION of what uses them, then run {COMMAND}: {', '.join(changed)}"
