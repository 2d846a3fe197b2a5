"""The journal of a run: read while it is written, after it ended, and after its process was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.progress import Event
from uvlp.pipeline.runs import files, journal, reading
from uvlp.pipeline.runs.files import Job
from uvlp.pipeline.runs.journal import recorded
from uvlp.pipeline.runs.reading import JobState
from uvlp.pipeline.runs.time_left import SETTLED_S, expectations, time_left_s

CAPTIONS = Task(kind="captions", stage="caption", title="captions")
MODEL = Task(kind="weights", stage="finetune", title="model", inputs={"captions": CAPTIONS})
SCORES = tuple(
    Task(
        kind="scores", stage="evaluate", title=f"score {seed}", facts={"seed": seed}, inputs={"model": MODEL}
    )
    for seed in range(4)
)
TASKS = (CAPTIONS, MODEL, *SCORES)
KILLED = """
import sys, time
from pathlib import Path
from tests.pipeline.runs.test_journal import Silent, TASKS, recorded

with recorded(Path(sys.argv[1]), TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view:
    view.begin("captions")
    print("begun", flush=True)
    time.sleep(600)
"""


class Silent:
    """A view that shows nothing."""

    def begin(self, title: str) -> None: ...

    def event(self, title: str, event: Event) -> None: ...

    def end(self, title: str, seconds: float) -> None: ...

    def close(self) -> None: ...


def newest(root: Path) -> reading.Run:
    return reading.read(root / files.FOLDER / reading.find(root, None))


def test_running_run_is_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "NOW_EVERY_S", 0.0)
    with recorded(tmp_path, TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view:
        assert newest(tmp_path).state == "running" and newest(tmp_path).count("waiting") == 6
        view.begin("captions")
        view.event("captions", Event("captions", device="CPU"))
        view.end("captions", 12.5)
        view.begin("model")
        view.event("model", Event("model, steps", 3, 10))
        view.event("model", Event("model", message="waiting: another uvlp process is making it"))
        view.event("model", Event("model", message="made twice", twice_s=7.0))
        run = newest(tmp_path)
    assert [job.state for job in run.jobs] == ["done", "running", *["waiting"] * 4]
    assert (run.jobs[0].seconds, run.jobs[0].device) == (12.5, "CPU")
    now = run.jobs[1].now
    assert now is not None and (now.label, now.done, now.total) == ("model, steps", 3, 10)
    assert now.message == "made twice" and (run.twice, run.twice_s) == (1, 7.0)
    assert run.header.command == "uvlp reproduce digits 1" and run.header.folder == os.getcwd()
    assert newest(tmp_path).state == "finished"


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UvlpError("no"), "broken"),
        (WorkerFailed("no", "details"), "broken"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, error: BaseException, state: str) -> None:
    with (
        pytest.raises(type(error)),
        recorded(tmp_path, TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view,
    ):
        view.begin("captions")
        raise error
    run = newest(tmp_path)
    assert (run.state, run.jobs[0].state) == (state, "stopped") and run.error == (str(error) or repr(error))


def test_failed_job_has_a_log(tmp_path: Path) -> None:
    with recorded(tmp_path, TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view:
        view.begin("captions")
        view.event("captions", Event("captions", message="a note before"))
        view.event("captions", Event("captions", failure="Traceback: ...\nValueError: the reason\n"))
    (job,) = [job for job in newest(tmp_path).jobs if job.state == "failed"]
    assert job.error == "ValueError: the reason" and job.log is not None
    assert job.log.read_text(encoding="utf-8") == "a note before\nTraceback: ...\nValueError: the reason\n"


def test_killed_run_is_known_to_be_dead(tmp_path: Path) -> None:
    program = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        assert newest(tmp_path).state == "running"
        process.send_signal(signal.SIGKILL)
    run = newest(tmp_path)
    assert (run.state, run.jobs[0].state) == ("killed", "stopped")
    assert reading.outcome(tmp_path / files.FOLDER / run.name) == "killed"


def test_run_of_another_host_is_unknown(tmp_path: Path) -> None:
    with recorded(tmp_path, TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view:
        view.begin("captions")
        path = tmp_path / files.FOLDER / newest(tmp_path).name / files.HEADER
        header = json.loads(path.read_text(encoding="utf-8"))
        header["process"] |= {"host": "elsewhere", "boot": "other"}
        path.write_text(json.dumps(header), encoding="utf-8")
        assert (newest(tmp_path).state, newest(tmp_path).jobs[0].state) == ("unknown", "running")


def test_cut_line_is_ignored_and_damaged_files_are_named(tmp_path: Path) -> None:
    with recorded(tmp_path, TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view:
        view.begin("captions")
        folder = tmp_path / files.FOLDER / newest(tmp_path).name
        with (folder / files.EVENTS).open("a", encoding="utf-8") as file:
            file.write('{"t": 1.0, "what": "en')
        (folder / files.NOW).write_text("[", encoding="utf-8")
        assert newest(tmp_path).count("running") == 1
        for name in (files.JOBS, files.HEADER):
            (folder / name).write_text('{"x": 1}', encoding="utf-8")
            with pytest.raises(UvlpError) as caught:
                newest(tmp_path)
            assert caught.value.got == str(folder / name)


def test_runs_are_found_by_their_beginning(tmp_path: Path) -> None:
    names = ["20260101-000000-aaaa", "20260101-000000-bbbb", "20260102-000000-cccc"]
    for name in names:
        (tmp_path / files.FOLDER / name).mkdir(parents=True)
    (tmp_path / files.FOLDER / "mine").mkdir()
    assert reading.find(tmp_path, None) == reading.find(tmp_path, "20260102") == names[2]
    for asked in ("20260101", "20260102-000000-cccd"):
        with pytest.raises(UvlpError) as caught:
            reading.find(tmp_path, asked)
        assert caught.value.got == asked
    assert caught.value.fix is not None and names[2] in caught.value.fix
    with pytest.raises(UvlpError) as caught:
        reading.find(tmp_path / "empty", None)
    assert caught.value.got == str(tmp_path / "empty")


def test_journals_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 2)
    monkeypatch.setattr(journal, "MOST", 4)
    for number in range(6):  # without a header: as if killed at once
        (tmp_path / files.FOLDER / f"2026010{number}-000000-aaaa").mkdir(parents=True)
    journal.prune(tmp_path)
    assert len(files.names(tmp_path)) == 2
    monkeypatch.setattr(reading, "outcome", lambda folder: None)
    for number in range(6):
        (tmp_path / files.FOLDER / f"2026020{number}-000000-aaaa").mkdir(parents=True)
    journal.prune(tmp_path)
    assert len(files.names(tmp_path)) == 4
    assert files.names(tmp_path)[-1] == "20260205-000000-aaaa"


def test_journal_that_cannot_be_written_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / files.FOLDER).write_text("x", encoding="utf-8")
    with recorded(tmp_path, TASKS, 2, {}, "uvlp reproduce digits 1", Silent()) as view:
        view.begin("captions")
        view.end("captions", 1.0)
    assert capsys.readouterr().err.count("uvlp status") == 1


def test_command_line_is_that_of_the_command_or_of_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for called in ("/x/bin/uvlp", "/x/uvlp/__main__.py"):
        monkeypatch.setattr(sys, "argv", [called, "reproduce", "folder:my images"])
        assert journal.command_line() == "uvlp reproduce 'folder:my images'"
    monkeypatch.setattr(sys, "argv", ["study.py", "1"])
    monkeypatch.setattr(sys, "orig_argv", ["/x/python", "study.py", "1"])
    assert journal.command_line() == "/x/python study.py 1"


def run_of(tmp_path: Path, estimated: Sequence[float], measured: Sequence[float]) -> reading.Run:
    """A run of two workers in which the first jobs are done."""
    seconds = {task.key: each for task, each in zip(TASKS, estimated, strict=True)}
    with recorded(tmp_path, TASKS, 2, seconds, "uvlp", Silent()) as view:
        for task, took in zip(TASKS, measured, strict=False):
            view.begin(task.title)
            view.end(task.title, took)
        run = newest(tmp_path)
    return replace(run, elapsed_s=sum(measured))


@pytest.mark.parametrize(
    ("estimated", "measured", "left_s"),
    [
        ([10, 20, 8, 8, 8, 8], [], 10 + 20 + 8),  # the longest chain
        ([10, 20, 80, 80, 80, 80], [], (10 + 20 + 4 * 80) / 2),  # shared by two workers
        ([10, 20, 8, 8, 8, 8], [10, 20, 16, 16], 16),  # its stage takes twice as long
        ([100, 20, 8, 8, 8, 8], [2 * SETTLED_S], 1.2 * (20 + 8)),  # so does everything
        ([1, 20, 8, 8, 8, 8], [10], 20 + 8),  # a short one shows only the start
        ([0, 0, 0, 0, 0, 0], [10, 20, 5], 3 * 5 / 2),  # without estimates: like the first
        ([0, 0, 0, 0, 0, 0], [10, 20], None),
        ([0, 0, 0, 0, 0, 0], [10, 20, 5, 5, 5, 5], 0),
    ],
)
def test_time_left(
    tmp_path: Path, estimated: Sequence[float], measured: Sequence[float], left_s: float | None
) -> None:
    assert time_left_s(run_of(tmp_path, estimated, measured)) == pytest.approx(left_s)


def test_running_job_needs_the_rest_of_its_time(tmp_path: Path) -> None:
    run = run_of(tmp_path, [10, 20, 8, 8, 8, 8], [10])
    run.jobs[1].state, run.jobs[1].seconds = "running", 15.0
    assert time_left_s(run) == pytest.approx((5 + 4 * 8) / 2)
    run.jobs[1].seconds = 1000.0
    assert time_left_s(run) == pytest.approx(4 * 8 / 2)


def test_the_time_left_of_many_jobs_needs_linear_work() -> None:
    def calls(count: int) -> int:
        made = 0

        def note(*_: object) -> None:
            nonlocal made
            made += 1

        jobs = [
            JobState(job=Job(key="", stage="evaluate", title="", inputs=(), seconds=1.0), state="done")
            for _ in range(count)
        ]
        sys.setprofile(note)
        try:
            expectations(jobs)
        finally:
            sys.setprofile(None)
        return made

    assert calls(1000) < 20 * calls(100)
