"""Points of curves: sent where a tracker receives them, and not more than it can show."""

from __future__ import annotations

import pytest

from uvlp.core import progress
from uvlp.core.progress import Event, Progress


class Unread:
    """A value on a GPU, which nobody may wait for."""

    def __float__(self) -> float:
        pytest.fail("it was read")


def test_without_a_tracker_no_value_is_read() -> None:
    events: list[Event] = []
    Progress(events.append).point(1, 10, loss=Unread())
    assert not events


def test_of_a_long_training_about_a_thousand_points_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_POINTS", 4)
    events: list[Event] = []
    tracked = Progress(events.append, "model")
    tracked.curves = True
    for step in range(1, 11):
        tracked.point(step, 10, loss=step / 2)
    tracked.point(5, 0, accuracy_pct=50)
    assert [(event.step, dict(event.values)) for event in events] == [
        *[(step, {"loss": step / 2}) for step in (3, 6, 9, 10)],
        (5, {"accuracy_pct": 50.0}),
    ]
    assert all(event.label == "model" for event in events)
