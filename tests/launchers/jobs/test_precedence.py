"""Jobs beside the chain let fine-tunings on several cards start first."""

from __future__ import annotations

from tests.launchers.chains import task
from uvlp.launchers.jobs.grouping import Group, group
from uvlp.launchers.jobs.precedence import started_before


def plan() -> list[Group]:
    """Return captions, features, two fine-tunings with what follows, and another method."""
    captions = task(0, "caption")
    tuned = [task(number, "finetune", {"captions": captions}) for number in (1, 2)]
    features = task(3, "embed")
    made = [
        task(10 + row, "synthesise", {"model": each, "features": features}) for row, each in enumerate(tuned)
    ]
    other = task(20, "synthesise")
    scores = [task(30 + row, "evaluate", {"images": each}) for row, each in enumerate([*made, other])]
    table = task(99, "tabulate", {str(row): each for row, each in enumerate(scores)})
    return group([captions, *tuned, features, *made, other, *scores, table], {}, 0.0)


def cards(each: Group) -> int:
    return {"finetune": 16, "tabulate": 0}.get(each.tasks[0].stage, 1)


def test_jobs_beside_the_chain_wait_for_its_start() -> None:
    groups = plan()
    tuned = {each.tasks[0].key for each in groups if each.tasks[0].stage == "finetune"}
    found = started_before(groups, cards, 1)
    held = {each.tasks[0].title for each in groups if each.name in found}
    assert held == {"synthesise 20", "evaluate 32"}, "neither captions nor features, which the chain reads"
    assert set(found.values()) == {frozenset(tuned)}


def test_jobs_that_need_no_card_take_none() -> None:
    groups = plan()
    found = started_before(groups, lambda each: 0 if cards(each) == 1 else cards(each), 1)
    assert not found


def test_nothing_waits_without_large_jobs() -> None:
    assert not started_before(plan(), lambda each: 1, 1)
    assert not started_before(plan(), cards, 16), "all jobs have as many"
