"""The time of a run by method adds up to that of all its artifacts."""

import pytest

from tests.pipeline.estimates.recipes import paper, planned
from uvlp.pipeline.estimates import cards, report, shares
from uvlp.pipeline.estimates.shares import SHARED

METHODS = ("random", "uvlp", "vlcp")


def test_shares_add_up_to_the_rows() -> None:
    estimate = report.estimate(planned(paper(methods=METHODS, seeds=(0,))), cards.named("h200"), workers=1)
    times = {share.method: share.seconds for share in estimate.shares}
    assert list(times) == [*METHODS, SHARED]
    total = sum(row.seconds or 0.0 for row in estimate.rows)
    assert sum(seconds or 0.0 for seconds in times.values()) == pytest.approx(total)
    # Both read the captions, the fine-tuned model and the features of images and captions.
    assert (times[SHARED] or 0.0) > (times["random"] or 0.0)


def test_an_artifact_of_one_method_is_its_own() -> None:
    one, both = (
        report.estimate(planned(paper(methods=methods, seeds=(0,))), cards.named("h200"), workers=1)
        for methods in (("random",), ("random", "uvlp"))
    )
    of_one, of_both = ({share.method: share.seconds for share in each.shares} for each in (one, both))
    assert (of_one["random"] or 0.0) >= (of_both["random"] or 0.0) > 0
    line, *others = shares.lines(both.shares)
    assert not others and "random" in line and "uvlp" in line and SHARED in line
    assert not list(shares.lines(one.shares))


def test_an_uncounted_artifact_makes_the_time_of_its_method_unknown() -> None:
    plan = planned(paper(methods=("random", "uvlp"), seeds=(0,)))
    seconds: dict[str, float | None] = {task.key: 1.0 for task in plan.tasks}
    (own,) = (task for task in plan.tasks if task.stage == "prototype")
    seconds[own.key] = None
    times = {share.method: share.seconds for share in shares.of_methods(plan, seconds)}
    assert times["uvlp"] is None and times["random"] is not None and times[SHARED] is not None
