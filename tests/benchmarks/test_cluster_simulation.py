"""A run on paper: what must hold whatever is drawn."""

from __future__ import annotations

import math
import random

import pytest

from benchmarks.cluster import cluster_simulation as simulation
from tests.launchers.chains import fan
from uvlp.launchers.jobs.grouping import Group, group
from uvlp.launchers.jobs.limits import START_S
from uvlp.pipeline.estimates.cards import named

CALM = simulation.Conditions()


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stragglers, and no node is lost."""
    monkeypatch.setattr(simulation, "STRAGGLER_SIGMA", 0.0)
    monkeypatch.setattr(simulation, "LOSS_HOURS", 1e12)


def hours(count: int) -> list[Group]:
    tasks = fan(count)
    return group(tasks, {each.key: 3600.0 for each in tasks}, 0.0)


def test_more_cards_finish_earlier_until_the_longest_chain_decides() -> None:
    times = [simulation.simulate(hours(8), cards, 1, CALM, 0).seconds for cards in (1, 2, 8, 16)]
    each = 3600.0 + START_S
    assert times == [10 * each, 6 * each, 3 * each, 3 * each]


def test_every_job_waits_in_the_queue_after_its_inputs() -> None:
    waited = simulation.simulate(hours(8), 8, 1, simulation.Conditions(wait_s=1800.0), 0)
    assert waited.seconds == 3 * (3600.0 + START_S + 1800.0)


def test_a_lost_node_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "LOSS_HOURS", 2.0)
    found = simulation.simulate(hours(8), 8, 1, CALM, 0)
    assert found.lost > 0 and found.seconds > 3 * (3600.0 + START_S)


def test_the_slowest_card_of_a_job_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "STRAGGLER_SIGMA", 0.3)
    (only,) = group(fan(1)[:1], {fan(1)[0].key: 3600.0}, 0.0)

    def mean(cards: int) -> float:
        drawn = [
            simulation._with_losses(only, cards, simulation.Conditions(per_card=True), random.Random(seed))[0]
            for seed in range(200)
        ]
        return sum(drawn) / len(drawn)

    assert mean(64) > mean(8) > mean(1)


def test_a_fine_tuning_on_several_cards_is_faster_and_pays_for_the_exchange() -> None:
    plan = simulation.plan_of("imagenet1k")
    (key,) = [task.key for task in plan.tasks if task.stage == "finetune"]
    card = named("h100")
    alone, eight, slow = (
        simulation.times_of(plan, card, count, bandwidth)[key]
        for count, bandwidth in ((1, 200e9), (8, 200e9), (8, 50e9))
    )
    assert alone / 8 < eight < slow < alone
    assert math.isclose(alone, simulation.times_of(plan, card, 1, 50e9)[key])
