"""The run on paper: the same rule and pieces as a run, deterministic, and what bounds it."""

from __future__ import annotations

import pytest

from benchmarks.cluster import schedule
from uvlp.pipeline.planning.pieces import Divided, Piece
from uvlp.pipeline.prepare import Plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    return schedule.plan()


@pytest.fixture(scope="module")
def eight(plan: Plan) -> schedule.Schedule:
    return schedule.schedule(plan, schedule.machine(8))


def test_every_task_ends_once(plan: Plan, eight: schedule.Schedule) -> None:
    ended = [each.job.key for each in eight.ran if not isinstance(each.job, Piece)]
    assert sorted(ended) == sorted(task.key for task in plan.tasks)
    assert any(isinstance(each.job, Divided) for each in eight.ran)


def test_no_card_is_given_away_twice(eight: schedule.Schedule) -> None:
    needs = [each for each in eight.ran if each.job.stage != "evaluate"]
    for card in range(8):
        here = sorted((each.began, each.ended) for each in needs if card in each.cards)
        assert all(before[1] <= after[0] for before, after in zip(here, here[1:], strict=False))
    assert {card for each in needs for card in each.cards} == set(range(8))


def test_fine_tunings_take_all_cards_one_after_another(eight: schedule.Schedule) -> None:
    tuned = sorted((each.began, each.ended) for each in eight.ran if each.job.stage == "finetune")
    assert len(tuned) == 3 and tuned[0][1] <= tuned[1][0] and tuned[1][1] <= tuned[2][0]
    assert all(set(each.cards) == set(range(8)) for each in eight.ran if each.job.stage == "finetune")


def test_more_cards_are_faster_and_less_busy(plan: Plan, eight: schedule.Schedule) -> None:
    one = schedule.schedule(plan, schedule.machine(1))
    assert eight.hours < one.hours and 0 < eight.busy < one.busy <= 1
    assert eight.card_hours >= one.card_hours * one.busy
    assert eight.longest <= 1


def test_draws_are_repeatable_and_only_slow_down(plan: Plan, eight: schedule.Schedule) -> None:
    on = schedule.machine(8)
    for kind in (schedule.per_job, schedule.per_card):
        first, again = (schedule.drawn(plan, on, kind, 2) for _ in range(2))
        assert first == again and first[0] != first[1]
    slow = schedule.schedule(plan, on, lambda start: 2.0)
    assert slow.hours == pytest.approx(2 * eight.hours)


def test_cards_that_do_not_divide_the_batch_are_not_busy_all_the_time(plan: Plan) -> None:
    seven = schedule.schedule(plan, schedule.machine(7))
    tuned = [each for each in seven.ran if each.job.stage == "finetune"]
    alone = next(
        each.ended - each.began
        for each in schedule.schedule(plan, schedule.machine(1)).ran
        if each.job.stage == "finetune"
    )
    assert all((each.ended - each.began) * 7 == pytest.approx(alone * 19 * 7 / 128) for each in tuned)
