"""What tasks need of a machine, from the estimates of published recipes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.estimates.recipes import PAPER, planned
from uvlp.artifacts.task import Task
from uvlp.core.nvidia import Card
from uvlp.core.scheduling.cards import Parallel
from uvlp.core.scheduling.rule import ANYWHERE, Needs
from uvlp.pipeline.estimates import cards, needs, report
from uvlp.pipeline.names import default_recipe
from uvlp.pipeline.planning.spread import in_order
from uvlp.pipeline.prepare import Plan

H200 = cards.named("h200")


def eight(per_finetune: int = 8) -> Parallel:
    used = tuple(
        Card(name=H200.name, driver="1", total_mib=143771, index=number, uuid=f"GPU-{number}")
        for number in range(8)
    )
    return Parallel(cards=used, shares=(4,) * 8, workers=32, per_finetune=per_finetune, cores=96)


def of_tasks(plan: Plan, on: Parallel) -> dict[str, Needs]:
    of = needs.on_machine(on, needs.of_plan(plan, H200))
    return {task.key: of(task) for task in plan.tasks}


def by_stage(found: dict[str, Needs], tasks: list[Task]) -> dict[str, set[tuple[int, bool]]]:
    stages: dict[str, set[tuple[int, bool]]] = {}
    for task in tasks:
        stages.setdefault(task.stage, set()).add((found[task.key].cards, found[task.key].shared))
    return stages


def test_stages_of_a_published_recipe() -> None:
    plan = planned(PAPER)
    found = of_tasks(plan, eight())
    assert by_stage(found, plan.tasks) == {
        "caption": {(1, False)},
        "encode": {(1, False)},
        "finetune": {(8, False)},
        "pixels": {(0, False)},
        "embed": {(1, False)},
        "prototype": {(0, False)},
        "synthesise": {(0, False), (1, False)},  # `random` and `full` copy or name real images
        "evaluate": {(1, True)},
        "tabulate": {(0, False)},
    }
    tuned = next(task for task in plan.tasks if task.stage == "finetune")
    encode = next(task for task in plan.tasks if task.stage == "encode")
    # 20 ms for each of 131 images per second are three cores, and one drives the card.
    assert found[encode.key].cores == 1 + 3
    assert found[tuned.key].cores == 8 and found[tuned.key].gpu_bytes > 20e9
    rows = {row.stage: row for row in report.estimate(plan, H200).rows}
    minutes = sum(found[task.key].minutes or 0 for task in plan.tasks if task.stage == "finetune")
    assert rows["finetune"].seconds is not None
    assert minutes == pytest.approx(rows["finetune"].seconds / 8 / 60)
    assert found[tuned.key].host_bytes == rows["finetune"].host_bytes


def test_cards_of_a_fine_tuning_are_as_asked() -> None:
    plan = planned(PAPER)
    found = of_tasks(plan, eight(2))
    assert {found[task.key].cards for task in plan.tasks if task.stage == "finetune"} == {2}


def test_cards_that_do_not_divide_an_update_wait_for_each_other() -> None:
    plan = planned(PAPER)
    (one, seven) = (of_tasks(plan, eight(count)) for count in (1, 7))
    tuned = next(task for task in plan.tasks if task.stage == "finetune")
    alone, together = one[tuned.key].minutes, seven[tuned.key].minutes
    assert alone is not None and together is not None
    assert tuned.settings.batch * tuned.settings.accumulation == 128
    assert together == pytest.approx(alone * 19 / 128), "128 images in parts of 18 and 19"


def test_small_models_take_one_card_and_measured_captions_none() -> None:
    plan = planned(default_recipe("digits", 10))
    found = of_tasks(plan, eight())
    stages = by_stage(found, plan.tasks)
    assert stages["caption"] == {(0, False)} and stages["finetune"] == {(1, False)}


def test_several_cards_are_asked_for_after_what_others_wait_for() -> None:
    plan = planned(PAPER)
    found = of_tasks(plan, eight())
    order = [task.stage for task in in_order(plan.tasks, lambda task: found[task.key])]
    assert order.index("embed") < order.index("finetune") < order.index("prototype")
    assert in_order(plan.tasks) == in_order(plan.tasks, lambda task: ANYWHERE)


def test_without_a_card_nothing_needs_one() -> None:
    plan = planned(PAPER)
    found = of_tasks(plan, Parallel(workers=2)).values()
    assert {each.cards for each in found} == {0} and any(each.minutes for each in found)
    of = needs.on_machine(Parallel(workers=2))
    assert {of(task) for task in plan.tasks} == {ANYWHERE}


def test_card_without_a_data_sheet_has_needs_but_no_estimates() -> None:
    plan = planned(PAPER)
    assert needs.of_plan(plan, replace(H200, known=False)) == {}
    of = needs.on_machine(eight(), {})
    assert {(of(task).cards, of(task).minutes) for task in plan.tasks} == {(0, None), (1, None), (8, None)}
