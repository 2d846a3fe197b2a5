"""Jobs that wait for inputs and for cards, with and without processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from uvlp.core.scheduling.queue import Queue
from uvlp.core.scheduling.rule import Layout, Needs, Start
from uvlp.core.scheduling.simulate import simulate

EIGHT = Layout(shares=(4,) * 8, workers=tuple(range(8)) * 4)


@dataclass(frozen=True)
class Job:
    key: str
    needs: Needs = field(default_factory=lambda: Needs(cards=1))
    minutes: float = 1.0
    inputs: Mapping[str, Job] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return self.key


SHARED, EVERY = Needs(cards=1, shared=True), Needs(cards=8)


def ended(jobs: list[Job], layout: Layout = EIGHT) -> dict[str, float]:
    ran = simulate(jobs, layout, lambda job: job.needs, lambda start: start.job.minutes)
    assert len(ran) == len(jobs)
    return {each.job.key: each.ended for each in ran}


def begun(queue: Queue) -> list[str]:
    found = []
    while (start := queue.start()) is not None:
        found.append(start.job.key)
    return found


def test_jobs_wait_for_direct_and_indirect_inputs() -> None:
    first = Job("a")
    second = Job("b", inputs={"a": first})
    third = Job("c", inputs={"b": second})
    assert ended([third, first]) == {"a": 1.0, "c": 2.0}, "b is finished, and its input is made again"


def test_eight_cards_halve_the_time_of_four() -> None:
    jobs = [Job(str(number)) for number in range(32)]
    four = Layout(shares=(4,) * 4, workers=tuple(range(4)) * 4)
    assert max(ended(jobs).values()) == 4 and max(ended(jobs, four).values()) == 8


def test_jobs_that_share_a_card_take_turns() -> None:
    one = Layout(shares=(4,), workers=(0,) * 4)
    assert ended([Job(name, SHARED) for name in "abcd"], one) == dict.fromkeys("abcd", 4.0)
    short = ended([Job("long", SHARED, 3.0), Job("short", SHARED, 1.0)], one)
    assert short == {"short": 2.0, "long": 4.0}


def test_evaluations_do_not_delay_a_job_for_all_cards() -> None:
    slow = Job("captions", minutes=5.0)
    tuned = Job("tuned", EVERY, 1.0, {"captions": slow})
    scored = Job("scored", SHARED, 60.0)
    assert ended([slow, tuned, scored]) == {"captions": 5.0, "tuned": 6.0, "scored": 66.0}


def test_what_a_job_for_all_cards_needs_is_not_held_back() -> None:
    network = Job("network", SHARED, 2.0)
    assert ended([Job("tuned", EVERY, 1.0, {"network": network}), network]) == {"network": 2.0, "tuned": 3.0}


def test_job_for_all_cards_of_one_card_is_like_any_other() -> None:
    one = Layout(shares=(4,), workers=(0,) * 4)
    queue: Queue = Queue([Job("scored", SHARED), Job("tuned", Needs(cards=1))], lambda job: job.needs, one)
    assert begun(queue) == ["scored"]


def test_finished_jobs_are_not_started_again() -> None:
    queue: Queue = Queue([Job("a"), Job("b")], lambda job: job.needs, Layout(shares=(1,), workers=(0,)))
    assert begun(queue) == ["a"] and queue
    assert queue.finish(0).job.key == "a" and begun(queue) == ["b"]
    queue.finish(0)
    assert not queue


def test_a_job_that_can_never_start_is_a_defect() -> None:
    queue: Queue = Queue([Job("a", Needs(cards=2))], lambda job: job.needs, Layout(shares=(1,), workers=(0,)))
    with pytest.raises(AssertionError):
        queue.start()


def test_stragglers_depend_on_the_cards_of_the_start() -> None:
    def minutes(start: Start[Job]) -> float:
        return start.job.minutes * (2 if 0 in start.cards else 1)

    ran = simulate([Job("a"), Job("b")], EIGHT, lambda job: job.needs, minutes)
    assert {each.job.key: each.ended for each in ran} == {"a": 2.0, "b": 1.0}
