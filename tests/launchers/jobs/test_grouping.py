"""Grouping of tasks into jobs."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.launchers.chains import fan, task
from uvlp.artifacts.task import Task
from uvlp.declarations.launcher import Job
from uvlp.launchers.jobs.grouping import Group, _inputs_first, group, needed


def ordered(groups: list[Group]) -> None:
    """Check that every job comes after those that it needs, and holds its tasks in order."""
    seen: set[str] = set()
    for each in groups:
        assert each.needs <= seen
        for one in each.tasks:
            assert {earlier.key for earlier in one.inputs.values()} <= seen
            seen.add(one.key)


def drawn(count: int, seed: int) -> tuple[list[Task], dict[str, float]]:
    """Return a random plan with estimates from seconds to hours."""
    numbers = random.Random(seed)
    tasks: list[Task] = []
    for number in range(count):
        inputs = numbers.sample(tasks, min(len(tasks), numbers.randrange(4)))
        tasks.append(task(number, numbers.choice("abc"), {str(row): one for row, one in enumerate(inputs)}))
    return tasks, {one.key: 10 ** numbers.uniform(0, 4) for one in tasks}


def test_jobs_are_in_order_whatever_the_plan() -> None:
    for seed in range(30):
        tasks, seconds = drawn(60, seed)
        groups = group(tasks, seconds, 1800.0)
        ordered(groups)
        assert sorted(one.key for each in groups for one in each.tasks) == sorted(one.key for one in tasks)


def test_a_long_task_has_a_job_of_its_own_and_short_ones_share() -> None:
    tasks = fan(40)
    seconds = {one.key: 60.0 for one in tasks} | {tasks[0].key: 7200.0}
    groups = group(tasks, seconds, 1800.0)
    sizes = [len(each.tasks) for each in groups]
    assert sizes[0] == 1 + 10, "the rest of the evaluations joins the only job before it"
    assert sizes[1:] == [30, 1]


def test_short_tasks_wait_for_no_long_one_that_only_others_need() -> None:
    """Two fine-tunings end at different times: what follows each is a job of its own."""
    long = [task(number, "finetune") for number in range(2)]
    after = [task(10 + number, "synthesise", {"long": each}) for number, each in enumerate(long)]
    free = [task(20 + number, "pixels") for number in range(2)]
    seconds = {each.key: 60.0 for each in (*after, *free)} | {each.key: 7200.0 for each in long}
    groups = group([*long, *free, *after], seconds, 1800.0)
    held = [{one.key for one in each.tasks} for each in groups]
    assert {long[0].key, after[0].key} in held and {long[1].key, after[1].key} in held
    assert {each.key for each in free} in held


def test_evaluations_of_one_table_do_not_wait_for_one_another() -> None:
    """One of each model's is left, too short for a job of its own, and only the table reads any of them."""
    models = [task(number, "finetune") for number in range(6)]
    read = [
        task(10 * row + each, "evaluate", {"model": model})
        for row, model in enumerate(models, 1)
        for each in range(3)
    ]
    table = task(99, "tabulate", {str(row): each for row, each in enumerate(read)})
    seconds = {each.key: 7200.0 for each in models} | {each.key: 1500.0 for each in read} | {table.key: 10.0}

    def cards(job: Job) -> int:
        return 8 if job.stage == "finetune" else 1

    found = group([*models, *read, table], seconds, 1800.0, cards=cards)
    assert max(each.seconds for each in found) == 7200.0, "and no evaluation holds the cards of its model"
    first = task(0)
    chain = [first, task(1, inputs={"first": first})]
    (only,) = group(chain, {each.key: 1500.0 for each in chain}, 1800.0)
    assert only.seconds == 3000.0, "nothing is delayed in a chain"


def test_a_small_plan_is_one_job() -> None:
    tasks = fan(5)
    (only,) = group(tasks, {one.key: 10.0 for one in tasks}, 1800.0)
    assert only.seconds == pytest.approx(70.0) and not only.needs


def test_a_long_task_without_a_card_has_no_card_in_its_job() -> None:
    first, second = task(0, "prototype"), task(1, "synthesise")
    last = task(2, "evaluate", {"a": first, "b": second})
    seconds = {first.key: 7200.0, second.key: 60.0, last.key: 60.0}
    tasks = [first, second, last]
    assert len(group(tasks, seconds, 1800.0)) == 1
    found = group(tasks, seconds, 1800.0, cards=lambda job: int(job.stage != "prototype"))
    assert sorted(len(each.tasks) for each in found) == [1, 2]
    short = group(tasks, seconds | {first.key: 60.0}, 1800.0, cards=lambda job: int(job.stage != "prototype"))
    assert len(short) == 1, "a card may wait for a minute"


def test_nothing_is_grouped_with_a_limit_of_zero() -> None:
    tasks = fan(5)
    assert len(group(tasks, {}, 0.0)) == len(tasks)


def test_tasks_of_live_jobs_are_needed_and_left_out() -> None:
    tasks = fan(2)
    groups = group(tasks, {}, 0.0, apart=[tasks[0].key])
    assert [each.needs for each in groups[:2]] == [frozenset({tasks[0].key})] * 2


def test_a_table_needs_what_its_finished_inputs_read() -> None:
    first = task(0)
    middle = task(1, inputs={"first": first})
    last = task(2, inputs={"middle": middle})
    assert needed([first, last])[last.key] == {first.key}


@pytest.mark.parametrize("backwards", [False, True])
def test_equal_commands_give_equal_job_scripts(backwards: bool) -> None:
    """A set of texts has another order in every process."""

    class Keys(frozenset[str]):
        def __iter__(self) -> Iterator[str]:
            return iter(sorted(super().__iter__(), reverse=backwards))

    *before, last = [task(number) for number in range(9)]
    needs = {each.key: Keys() for each in before}
    needs[last.key] = Keys(each.key for each in before)
    assert _inputs_first([last, *before], needs) == [*before, last]


def test_the_name_of_a_job_depends_on_its_tasks_alone() -> None:
    tasks = fan(2)
    again = group(fan(2), {one.key: 1.0 for one in tasks}, 0.0)
    assert [each.name for each in again] == [each.name for each in group(tasks, {}, 0.0)]
