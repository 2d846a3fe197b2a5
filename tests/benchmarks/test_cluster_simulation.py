"""A run on paper: what must hold whatever is drawn."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from benchmarks.cluster import account, cluster_simulation as simulation, events, finetuning, plans
from benchmarks.cluster.events import Conditions, Job, Nodes
from uvlp.launchers.jobs.limits import START_S
from uvlp.pipeline.estimates.cards import named
from uvlp.recipes.schema import FinetuneSettings

CALM, HOUR = Conditions(), 3600.0
EACH = HOUR + START_S


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stragglers, and no node is lost."""
    monkeypatch.setattr(events, "STRAGGLER_SIGMA", 0.0)
    monkeypatch.setattr(events, "LOSS_HOURS", 1e12)


def job(*before: int, cards: int = 1, nodes: int = 1) -> Job:
    """Return a job of an hour after those in these rows."""
    return Job(
        stage="embed",
        cards=cards,
        nodes=nodes,
        seconds=HOUR,
        useful_s=HOUR * min(cards, 1),
        exchange_s=0.0,
        before=frozenset(before),
        resumed=True,
    )


def fan(width: int) -> list[Job]:
    """Return a job, ``width`` jobs after it, and one after those."""
    return [job(), *[job(0)] * width, job(*range(1, width + 1))]


def seconds(jobs: list[Job], cards: int, conditions: Conditions = CALM, seed: int = 0) -> float:
    return account.total_s(events.run(jobs, cards, conditions, seed))


def test_more_cards_finish_earlier_until_the_longest_chain_decides() -> None:
    assert [seconds(fan(8), cards) for cards in (1, 2, 8, 16)] == [10 * EACH, 6 * EACH, 3 * EACH, 3 * EACH]


def test_every_job_waits_in_the_queue_after_its_inputs() -> None:
    assert seconds(fan(8), 8, Conditions(wait_s=1800.0)) == 3 * (EACH + 1800.0)


def test_a_job_of_several_nodes_waits_until_each_has_its_cards() -> None:
    several = job(cards=16, nodes=2)
    assert seconds([several, several, job(cards=0)], 16) == 2 * EACH, "what needs no card waits for none"
    assert seconds([job(), job(cards=16, nodes=2)], 24) == EACH
    assert seconds([*[job()] * 9, several], 16) == 2 * EACH


def test_a_job_beside_the_chain_waits_until_others_have_started() -> None:
    jobs = [job(), job(0, cards=2), replace(job(), begun=frozenset([1]))]
    ran = events.run(jobs, 3, CALM, 0)
    assert [(each.began, each.job.cards) for each in ran] == [(0.0, 1), (EACH, 2), (EACH, 1)]


def test_a_job_that_is_done_makes_parts_of_slower_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shares of 60 parts: one starts an hour later, after a job on its card."""
    shares = [replace(job(), shared="captions", parts=60), replace(job(0), shared="captions", parts=60)]
    ran = events.run([job(), *shares], 2, CALM, 0)
    of_parts = [each for each in ran if each.job.shared]
    assert sum(each.job.useful_s for each in of_parts) == pytest.approx(2 * HOUR), "each part once"
    # The first helps for an hour, in which the other one starts and makes parts as well.
    assert account.total_s(ran) == pytest.approx(START_S + 1.5 * HOUR, abs=120.0)
    monkeypatch.setattr(events, "STRAGGLER_SIGMA", 0.5)
    alike = [replace(job(), shared="captions", parts=60)] * 8
    alone = [replace(each, shared="") for each in alike]
    assert all(seconds(alike, 8, seed=seed) < seconds(alone, 8, seed=seed) for seed in range(5))
    monkeypatch.setattr(events, "LOSS_HOURS", 0.5)
    found = events.run(alike, 8, CALM, 0)
    assert sum(each.losses for each in found) > 0
    assert sum(each.job.useful_s for each in found) == pytest.approx(8 * HOUR), "lost parts are made again"


def test_single_cards_are_taken_where_few_are_left_and_several_where_many_are() -> None:
    nodes = Nodes(24)
    assert nodes.take(1, 1) == [(0, 1)] and nodes.take(1, 2) == [(0, 2)]
    assert {node for node, _ in nodes.take(2, 8) or ()} == {1, 2}
    assert nodes.take(1, 6) is None and nodes.take(1, 5) == [(0, 5)]
    nodes.give([(1, 8)])
    assert nodes.take(1, 8) == [(1, 8)]


def test_a_lost_node_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOSS_HOURS", 2.0)
    ran = events.run(fan(8), 8, CALM, 0)
    assert sum(each.losses for each in ran) > 0 and account.total_s(ran) > 3 * EACH


def test_the_slowest_card_of_a_job_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STRAGGLER_SIGMA", 0.3)

    def mean(cards: int) -> float:
        only = job(cards=cards, nodes=-(-cards // 8))
        drawn = [
            events._drawn(only, 0.0, Conditions(per_card=True), random.Random(seed)) for seed in range(200)
        ]
        return sum(each.ended for each in drawn) / len(drawn)

    assert mean(64) > mean(8) > mean(1)


def test_all_card_hours_are_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "STRAGGLER_SIGMA", 0.15)
    monkeypatch.setattr(events, "LOSS_HOURS", 20.0)
    tuned = replace(job(1, 2, cards=4), stage="finetune", useful_s=3 * HOUR, exchange_s=60.0)
    ran = events.run([job(), *[job(0)] * 5, tuned, job(6, cards=0), job(6)], 8, CALM, 3)
    found = account.of_stages(ran, 8)
    total = sum(getattr(each, name) for each in found.values() for name in account.COLUMNS)
    assert total == pytest.approx(8 * account.total_s(ran) / HOUR)
    assert found["finetune"].useful == 3 and found["finetune"].exchange == pytest.approx(4 / 60)
    assert account.useful_share(ran, 8) == pytest.approx(10 * HOUR / (8 * account.total_s(ran)))


def test_a_fine_tuning_on_several_cards_is_faster_and_pays_for_small_batches_and_the_exchange() -> None:
    settings = FinetuneSettings()

    def on(cards: int, conditions: Conditions = CALM) -> finetuning.Time:
        return finetuning.on_cards(settings, 1_281_167, 150_000.0, cards, conditions)

    assert on(1).seconds == 150_000.0
    after = [on(16, Conditions(hidden=False, bandwidth=rate)) for rate in (200e9, 50e9)]
    computing = on(16).seconds
    assert 150_000 / 16 < computing < after[0].seconds < after[1].seconds
    assert on(16).exchange_s == 0 and after[1].exchange_s == pytest.approx(4 * after[0].exchange_s)
    # 8 images and half a batch of 2 on each, instead of 4 batches of 32 and 2.
    assert computing == pytest.approx(150_000 * 10 / 136)
    assert on(20).seconds == pytest.approx(150_000 * 9 / 136), "all wait for those with 7 images"
    assert on(128, Conditions(bandwidth=5e9)).exchange_s > 0, "longer than a backward pass of one image"


def test_useful_work_is_that_of_tasks_with_a_card_on_one_card() -> None:
    plan, card = plans.plan_of("imagenet1k", (0,)), named("h100")
    of_choices = [
        sum(each.useful_s for each in plans.jobs_of(plan, card, chosen, CALM))
        for chosen in simulation.CHOSEN.values()
    ]
    alone = plans.times_of(plan, card, 1, CALM).alone
    expected = sum(
        alone[task.key] for task in plan.tasks if task.stage not in ("prototype", "pixels", "tabulate")
    )
    assert of_choices == pytest.approx([expected] * len(of_choices), rel=1e-3)


def test_the_report_names_inputs_targets_and_waste() -> None:
    lines = list(simulation.rows("imagenet1k", 1, named("h100"), 1))
    assert lines[0].count("|") == 3 + len(simulation.COLUMNS)
    assert [line for line in lines if line.startswith("- 64 cards: at most 6 h")]
    assert lines[-1].startswith("| all |") and "%" in lines[-1]
    assert any("(assumed)" in line for line in simulation.inputs(named("h100"), 1))
