"""The jobs of a run for `uvlp status`, with recorded answers of the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.launchers import slurm
from uvlp.launchers.jobs import outcome, progress, queue
from uvlp.launchers.jobs.progress import StageLines
from uvlp.launchers.jobs.queue import State
from uvlp.launchers.jobs.record import JobRecord, Run


def run_of(tmp_path: Path) -> Run:
    run = Run(tmp_path / "launched" / "0123456789")
    run.folder.mkdir(parents=True)
    run.add(
        JobRecord(id=number, name=f"job{number}", title="model", tasks=(f"key{number}",))
        for number in "1234567"
    )
    return run


def test_each_job_has_the_state_that_its_node_or_the_cluster_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path)
    outcome.write(run.folder, "job1", None)
    outcome.write(run.folder, "job2", UvlpError("a wrong number"))
    (run.folder / "log").mkdir()
    (run.folder / "log" / "2_0_log.out").touch()
    said = {"3": "RUNNING", "4": "PENDING", "5": "CANCELLED", "6": "OUT_OF_MEMORY"}
    listed = {job: State(state, "", "PartitionDown") for job, state in said.items()}
    monkeypatch.setattr(queue, "states", lambda: listed)
    found = {each.tasks[0]: each for each in slurm.submitted(tmp_path, "01234567")}
    assert {key: each.state for key, each in found.items()} == {
        "key1": "done",
        "key2": "failed",
        "key3": "running",
        "key4": "waiting",
        "key5": "stopped",
        "key6": "failed",
        "key7": "stopped",
    }
    assert found["key2"].error == "job 2 (model): a wrong number" and found["key2"].log is not None
    assert found["key6"].error == "job 6 (model): OUT_OF_MEMORY"
    assert {key for key, each in found.items() if each.reason} == {"key4"}
    assert found["key4"].reason == "PartitionDown"


def test_where_no_cluster_answers_only_reports_of_nodes_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path)
    outcome.write(run.folder, "job1", None)
    monkeypatch.setenv("PATH", "")
    assert [each.state for each in progress.submitted(run)] == ["done", *["unknown"] * 6]


def test_why_jobs_do_not_start_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = StageLines([], Store(tmp_path))
    jobs = [JobRecord(id=number, name=number, title="t", tasks=()) for number in "1234"]
    reasons = {"1": "PartitionConfig", "2": "Priority", "3": "PartitionConfig", "4": "None"}
    states = {number: State("PENDING", "", reason) for number, reason in reasons.items()}
    for _ in range(2):
        lines.show(jobs, states)
    lines.show(jobs, states | {"4": State("RUNNING", "", "BadConstraints")})
    said = "jobs do not start (2), and the cluster says why: PartitionConfig"
    assert capsys.readouterr().err == f"note   {said}\n"


def test_a_run_without_jobs_has_none(tmp_path: Path) -> None:
    assert slurm.submitted(tmp_path, "01234567") == []
