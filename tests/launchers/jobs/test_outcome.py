"""The outcome of a job: an error arrives as the error that it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.launchers.jobs import endings, outcome, queue
from uvlp.launchers.jobs.outcome import Outcome
from uvlp.launchers.jobs.record import JobRecord, Run, find_run, open_run


def job(memory_gb: int = 8) -> JobRecord:
    return JobRecord(id="7", name="n", title="embed", tasks=("features/1",), memory_gb=memory_gb)


def test_a_mistake_of_the_user_keeps_its_fields(tmp_path: Path) -> None:
    outcome.write(tmp_path, "n", UvlpError("what", got=3, allowed="a", fix="f"))
    content = outcome.read(tmp_path, "n")
    assert content is not None
    error = endings.failure(Run(tmp_path), job(), content)
    assert isinstance(error, UvlpError)
    assert (error.what, error.got, error.allowed, error.fix) == ("what", 3, "a", "f")


def test_a_defect_stays_a_defect_and_names_its_job(tmp_path: Path) -> None:
    try:
        raise KeyError("x")
    except KeyError as raised:
        outcome.write(tmp_path, "n", raised)
    content = outcome.read(tmp_path, "n")
    assert content is not None
    error = endings.failure(Run(tmp_path), job(), content)
    assert isinstance(error, WorkerFailed) and "job 7 (embed)" in error.text
    assert "Traceback" in error.details


def test_a_full_disk_is_no_defect(tmp_path: Path) -> None:
    outcome.write(tmp_path, "n", OSError(28, "No space left on device"))
    content = outcome.read(tmp_path, "n")
    assert content is not None and content.state == outcome.FAILED


def test_a_stopped_job_is_told_apart(tmp_path: Path) -> None:
    assert outcome.write(tmp_path, "n", Stopped("x was stopped by SIGTERM")) == outcome.STOPPED
    assert outcome.write(tmp_path, "n", KeyboardInterrupt()) == outcome.STOPPED


def test_memory_is_doubled_for_the_next_call(tmp_path: Path) -> None:
    run = Run(tmp_path / "launched" / "abc")
    run.add([job()])
    error = endings.without_report(run, job(), "OUT_OF_MEMORY")
    assert isinstance(error, UvlpError) and error.got == "8 GB"
    assert open_run(tmp_path, "abc").memory_of(["features/1"], 8) == 16
    killed = Outcome(state=outcome.DEFECT, host="h", what="the process was killed (SIGKILL; out of memory?)")
    assert isinstance(endings.failure(run, job(16), killed), UvlpError)
    assert open_run(tmp_path, "abc").memory_of(["features/1"], 8) == 32
    assert open_run(tmp_path, "abc").memory_of(["features/2"], 8) == 8


@pytest.mark.parametrize("state", ["CANCELLED", "TIMEOUT", "FAILED", queue.GONE])
def test_each_end_without_a_report_is_one_line_with_the_job(tmp_path: Path, state: str) -> None:
    error = endings.without_report(Run(tmp_path), job(), state)
    assert isinstance(error, UvlpError) and "job 7 (embed)" in error.what and "\n" not in str(error)


def test_the_last_line_of_a_log_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "7_0_log.out").write_text("a\nsrun: error: no such file\n\n", encoding="utf-8")
    error = endings.without_report(Run(tmp_path), job(), "FAILED")
    assert isinstance(error, UvlpError) and error.got == "srun: error: no such file"
    (tmp_path / "log" / "7_0_log.out").write_text("\n", encoding="utf-8")
    assert "launcher.setup" in str(endings.without_report(Run(tmp_path), job(), "FAILED"))


def test_runs_are_found_by_the_start_of_their_name(tmp_path: Path) -> None:
    for name in ("abc1", "abd2"):
        Run(tmp_path / "launched" / name).add([job()])
    assert find_run(tmp_path, "abc").jobs == [job()]
    for name in ("ab", "x", ""):
        with pytest.raises(UvlpError) as caught:
            find_run(tmp_path, name)
        assert caught.value.got == name


def test_a_damaged_report_is_one_line(tmp_path: Path) -> None:
    outcome.write(tmp_path, "n", None)
    file = outcome.path(tmp_path, "n")
    for text in (file.read_text(encoding="utf-8")[:-9], '{"format": 1, "state": "well", "host": "h"}', "[]"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UvlpError) as caught:
            outcome.read(tmp_path, "n")
        assert caught.value.got == str(file) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", '{"jobs": [], "memory_gb": {}}', '{"format": 1, "jobs": [{"id": 1}]}'])
def test_a_damaged_record_is_one_line(tmp_path: Path, text: str) -> None:
    run = Run(tmp_path / "launched" / "abc")
    run.add([job()])
    (run.folder / "jobs.json").write_text(text, encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        open_run(tmp_path, "abc")
    assert caught.value.got == str(run.folder / "jobs.json")


def test_a_waiting_element_of_an_array_that_was_cancelled(tmp_path: Path) -> None:
    """Slurm forgets it at once, while it still lists the others."""
    run, gone = Run(tmp_path), None
    assert endings.ended_as(run, job(), queue.GONE, gone) == queue.GONE, "do the nodes see the store?"
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "6_0_log.out").write_text("", encoding="utf-8")
    assert endings.ended_as(run, job(), queue.GONE, gone) == endings.CANCELLED
    (tmp_path / "log" / "7_0_log.out").write_text("", encoding="utf-8")
    assert endings.ended_as(run, job(), queue.GONE, gone) == queue.GONE, "it ran"
    outcome.write(tmp_path, "n", Stopped("SIGTERM"))
    assert endings.ended_as(run, job(), queue.GONE, outcome.read(tmp_path, "n")) == endings.CANCELLED
    assert endings.ended_as(run, job(), "FAILED", gone) == "FAILED"
