"""A run on a cluster is one run: its calls, the starts of its jobs on nodes, and what the cluster says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.launchers import chains
from tests.pipeline.runs.test_journal import CAPTIONS, MODEL, SCORES, TASKS, Silent
from uvlp.artifacts.task import Task
from uvlp.cli.printing import status
from uvlp.core.errors import Detached, UvlpError
from uvlp.core.progress import Event
from uvlp.declarations import launcher
from uvlp.declarations.launcher import Submitted
from uvlp.pipeline.runs import files, launched, reading
from uvlp.pipeline.runs.journal import launched as attended, recorded

NAME = TASKS[-1].key


def call(root: Path, error: Exception | None = None, tasks: Sequence[Task] = TASKS) -> None:
    """A call that submits the tasks, or attaches to their jobs."""
    work = replace(chains.work(root, tasks), name=NAME)
    with attended(work, "slurm", "uvlp reproduce digits 1"):
        if error is not None:
            raise error


def detach(root: Path) -> None:
    with pytest.raises(Detached):
        call(root, Detached("the jobs go on"))


def on_node(
    root: Path, done: Sequence[Task], failed: Sequence[Task] = (), begun: Sequence[Task] = ()
) -> None:
    """A start of a job, whose process ends after it made ``done``."""
    tasks = [*done, *failed, *begun]
    with pytest.raises(KeyboardInterrupt), recorded(root, tasks, 1, {}, "uvlp", Silent(), NAME) as view:
        for task in tasks:
            view.begin(task.title)
            view.event(task.title, Event(task.title, device="H100"))
            if task in done:
                view.end(task.title, 12.0)
            if task in failed:
                view.event(task.title, Event(task.title, failure="Traceback\nValueError: the reason\n"))
        raise KeyboardInterrupt


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Submitted]:
    """What the cluster says of the jobs of any run."""
    said: list[Submitted] = []
    declared = SimpleNamespace(submitted=lambda root, name: said)
    monkeypatch.setattr(launcher, "declared_launcher", lambda name: declared)
    return said


def job(state: str, *tasks: Task, error: str = "") -> Submitted:
    return Submitted(tasks=tuple(task.key for task in tasks), state=state, error=error)


def newest(root: Path) -> reading.Run:
    return launched.read(root, reading.find(root, None))


def states(run: reading.Run) -> list[str]:
    return [each.state for each in run.jobs]


def test_jobs_on_nodes_are_one_run_of_the_name_that_is_printed(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    on_node(tmp_path, done=[CAPTIONS])
    on_node(tmp_path, done=[], begun=[MODEL])
    jobs += [job("done", CAPTIONS), job("waiting", MODEL), job("waiting", *SCORES)]
    jobs[1] = replace(jobs[1], reason="PartitionDown")
    assert files.names(tmp_path) == [NAME[:8]]
    run = newest(tmp_path)
    assert (run.name, run.state) == (NAME[:8], "running")
    assert states(run) == ["done", *["waiting"] * 5], "the model was interrupted, and is queued again"
    assert run.jobs[0].device == "H100" and run.jobs[0].host, "which node made it"
    shown = [line for line in status.lines(run, 100) if "PartitionDown" in line]
    assert shown == ["jobs do not start, and the cluster says why: PartitionDown"]
    assert status.json_values(run)["held_up"] == ("PartitionDown",)


def test_a_job_that_runs_makes_one_of_its_tasks(
    tmp_path: Path, jobs: list[Submitted], monkeypatch: pytest.MonkeyPatch
) -> None:
    detach(tmp_path)
    jobs += [job("done", CAPTIONS, MODEL), job("running", *SCORES[:2]), job("waiting", *SCORES[2:])]
    with recorded(tmp_path, SCORES[:2], 1, {}, "uvlp", Silent(), NAME) as view:
        view.begin(SCORES[0].title)
        run = newest(tmp_path)
    assert states(run) == ["done", "done", "running", "waiting", "waiting", "waiting"]
    assert (run.state, run.header.workers) == ("running", 1)


def test_a_failed_task_has_its_log(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    on_node(tmp_path, done=[CAPTIONS, MODEL], failed=[SCORES[1]])
    jobs += [job("failed", *TASKS, error="job 7: it failed")]
    run = newest(tmp_path)
    assert (run.state, run.error) == ("broken", "ValueError: the reason")
    assert states(run) == ["done", "done", "waiting", "failed", "waiting", "waiting"]
    log = run.jobs[3].log
    assert log is not None and "ValueError: the reason" in log.read_text(encoding="utf-8")


def test_a_job_that_the_cluster_ended_is_named(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    jobs += [job("done", CAPTIONS), job("failed", MODEL, error="job 8 (model): OUT_OF_MEMORY")]
    jobs += [job("stopped", *SCORES)]
    run = newest(tmp_path)
    assert (run.state, run.error) == ("broken", "job 8 (model): OUT_OF_MEMORY")
    assert states(run) == ["done", "failed", *["waiting"] * 4]


def test_cancelled_jobs_stop_the_run(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    on_node(tmp_path, done=[CAPTIONS], begun=[MODEL])
    jobs += [job("done", CAPTIONS), job("stopped", MODEL), job("stopped", *SCORES)]
    run = newest(tmp_path)
    assert (run.state, states(run)) == ("stopped", ["done", "stopped", *["waiting"] * 4])


def test_a_run_that_was_attended_to_its_end_is_finished(tmp_path: Path, jobs: list[Submitted]) -> None:
    call(tmp_path)
    jobs += [job("failed", *TASKS, error="of an earlier call")]
    run = newest(tmp_path)
    assert run.state == "finished" and run.count("done") == len(TASKS)
    assert reading.outcome(tmp_path / files.FOLDER / run.name) == "finished"


def test_a_later_call_keeps_what_was_finished_before(tmp_path: Path, jobs: list[Submitted]) -> None:
    with pytest.raises(UvlpError):
        call(tmp_path, UvlpError("no"))
    on_node(tmp_path, done=[CAPTIONS, MODEL])
    with pytest.raises(Detached):
        call(tmp_path, Detached("the jobs go on"), SCORES)
    jobs += [job("waiting", *SCORES)]
    run = newest(tmp_path)
    assert len(run.jobs) == len(TASKS) and states(run) == ["done", "done", *["waiting"] * 4]
    assert [each.job.inputs for each in run.jobs[2:]] == [()] * 4


def test_without_a_cluster_the_nodes_reports_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise UvlpError("unknown launcher")

    monkeypatch.setattr(launcher, "declared_launcher", missing)
    detach(tmp_path)
    on_node(tmp_path, done=[CAPTIONS])
    run = newest(tmp_path)
    assert (run.state, run.count("done")) == ("unknown", 1)
    on_node(tmp_path, done=TASKS[1:])
    assert newest(tmp_path).state == "finished"


def test_runs_are_listed_by_their_last_call(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    with recorded(tmp_path, TASKS, 1, {}, "uvlp", Silent()):
        pass
    local = [name for name in files.names(tmp_path) if name != NAME[:8]]
    path = tmp_path / files.FOLDER / NAME[:8] / files.HEADER
    header = reading.header(path.parent)
    for later_s, expected in ((-3600, [NAME[:8], *local]), (3600, [*local, NAME[:8]])):
        text = json.loads(path.read_text(encoding="utf-8")) | {"at_s": header.at_s + later_s}
        path.write_text(json.dumps(text), encoding="utf-8")
        assert files.names(tmp_path) == expected


def test_a_clock_that_was_set_back_hides_nothing(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    path = tmp_path / files.FOLDER / NAME[:8] / files.HEADER
    header = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(header | {"since_s": header["since_s"] + 1e6}), encoding="utf-8")
    jobs.append(job("waiting", *TASKS))
    run = newest(tmp_path)
    assert (run.state, run.elapsed_s, run.count("waiting")) == ("running", 0.0, len(TASKS))


def test_a_start_whose_record_is_not_visible_yet_is_left_out(tmp_path: Path, jobs: list[Submitted]) -> None:
    detach(tmp_path)
    (tmp_path / files.FOLDER / NAME[:8] / files.new_name()).mkdir()
    jobs.append(job("waiting", *TASKS))
    assert newest(tmp_path).count("waiting") == len(TASKS)
