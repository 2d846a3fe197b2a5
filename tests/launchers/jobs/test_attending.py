"""Leaving a run whose jobs go on, and attaching to it again, with recorded answers of the cluster."""

from __future__ import annotations

import io
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.launchers.chains import fan, task, work
from uvlp.core.display import messages
from uvlp.core.errors import Detached, Stopped, UvlpError
from uvlp.launchers.jobs import attending, outcome, queue, sbatch
from uvlp.launchers.jobs.attending import Attendance, open_attendance
from uvlp.launchers.jobs.record import JobRecord, Run
from uvlp.launchers.jobs.settings import Settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def cancelled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that were cancelled."""
    numbers: list[str] = []

    def cancel(jobs: Iterable[str]) -> int:
        numbers.extend(jobs)
        return len(numbers)

    monkeypatch.setattr(queue, "cancel", cancel)
    monkeypatch.setattr(queue, "past", lambda jobs: {})
    return numbers


def attended(tmp_path: Path) -> Attendance:
    tasks = fan(2)
    return open_attendance(work(tmp_path, tasks), Run(tmp_path / "launched" / "r"), Settings(), 0.0)


def job(number: str, *keys: str) -> JobRecord:
    return JobRecord(id=number, name=f"job{number}", title="t", tasks=keys)


@pytest.mark.parametrize(("answer", "ended"), [("\n", []), ("y\n", []), ("n\n", ["7"]), ("No\n", ["7"])])
def test_a_terminal_is_asked_whether_jobs_go_on(
    answer: str, ended: list[str], cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", Terminal())
    attendance = attended(tmp_path)
    attendance.live = {"job7": job("7", "key")}
    with pytest.raises(Stopped) as caught:
        attendance._interrupted()
    assert cancelled == ended and caught.value.exit_code == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_jobs_go_on_when_the_terminal_is_gone(
    number: signal.Signals, cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "states", lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    attendance = attended(tmp_path)
    attendance.live = {"job7": job("7", "key")}
    with pytest.raises(Stopped):
        attendance.wait()
    assert not cancelled and signal.getsignal(number) == before


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT is ignored in a process that a shell started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_nohup_keeps_the_command(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with attended(tmp_path).leaving():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_question_keeps_the_jobs(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Terminal):
        def readline(self, *_: object) -> str:  # type: ignore[override]
            signal.raise_signal(signal.SIGINT)
            return "n"

    monkeypatch.setattr(sys, "stdin", Interrupted())
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(Stopped) as caught, attended(tmp_path).leaving():
        raise KeyboardInterrupt
    assert not cancelled and "uvlp cancel" in str(caught.value)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_waits_until_a_submitted_job_is_recorded(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(*_: object) -> list[str]:
        signal.raise_signal(signal.SIGINT)
        return ["7"]

    monkeypatch.setattr(sbatch, "submit", submit)
    monkeypatch.setattr(queue, "largest_array", lambda: 1)
    attendance = attended(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        attendance.submit()
    assert [each.id for each in attendance.run.jobs] == ["7"]


def test_detaching_names_the_run(tmp_path: Path) -> None:
    attendance = attended(tmp_path)
    with pytest.raises(Detached) as caught:
        attendance.detach()
    assert attendance.work.name in caught.value.what and caught.value.exit_code == 0


def listing(**states: str) -> Callable[[], dict[str, queue.State]]:
    return lambda: {number[1:]: queue.State(state) for number, state in states.items()}


def test_attaching_keeps_live_jobs_and_cancels_those_that_wait_for_a_failed_one(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, left, right, last = fan(2)
    attendance = attended(tmp_path)
    run = attendance.run
    run.add([job("1", first.key), job("2", left.key), job("3", right.key), job("4", last.key)])
    outcome.write(run.folder, "job2", UvlpError("a wrong number"))
    monkeypatch.setattr(queue, "states", listing(_1="RUNNING", _2="FAILED", _3="PENDING", _4="PENDING"))
    attendance.attach()
    assert sorted(attendance.live) == ["job1", "job3"] and cancelled == ["4"]


def test_a_preempted_job_is_not_submitted_twice(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attendance = attended(tmp_path)
    attendance.run.add([job("1", fan(2)[0].key)])
    outcome.write(attendance.run.folder, "job1", Stopped("SIGTERM"))
    monkeypatch.setattr(queue, "states", listing(_1="PENDING"))
    attendance.attach()
    assert list(attendance.live) == ["job1"]


def test_all_jobs_wait_for_a_probe_that_failed(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attendance = attended(tmp_path)
    attendance.run.add([job("1"), job("2", fan(2)[0].key)])
    outcome.write(attendance.run.folder, "job1", UvlpError("another version"))
    monkeypatch.setattr(queue, "states", listing(_1="FAILED", _2="PENDING"))
    attendance.attach()
    assert not attendance.live and cancelled == ["2"]
    assert [each.id for each in attendance.run.jobs] == ["2"], "a failed probe is noted once"


def test_a_cluster_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in its own words."""
    (tmp_path / "squeue").write_text("#!/bin/sh\necho no munged >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UvlpError) as caught:
        attended(tmp_path).attach()
    assert "squeue" in caught.value.what and caught.value.got == "no munged"


def test_a_cluster_that_does_not_answer_for_a_while_is_asked_again(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([None, None, {"7": queue.State("RUNNING")}])
    attendance = attended(tmp_path)
    attendance.live = {"job7": job("7", task(1).key)}

    def states() -> dict[str, queue.State]:
        found = next(answers)
        if found is None:
            raise queue.NoAnswer("the cluster does not answer squeue", got="down")
        outcome.write(attendance.run.folder, "job7", None)
        return found

    monkeypatch.setattr(queue, "states", states)
    monkeypatch.setattr(attending, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(attending, "READ_EVERY_S", 0.0)
    attendance.wait()
    assert capsys.readouterr().err.count("does not answer squeue; asking again: down") == 1


def test_a_full_queue_is_tried_again_as_rarely_as_it_is_looked_into(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attendance, tries = attended(tmp_path), 0

    def submit(*_: object) -> list[str]:
        nonlocal tries
        tries += 1
        raise sbatch.SubmitLimit("MaxJobCount")

    monkeypatch.setattr(sbatch, "submit", submit)
    monkeypatch.setattr(queue, "states", dict)
    monkeypatch.setattr(queue, "largest_array", lambda: 1)
    waits = iter([None] * 20)
    monkeypatch.setattr(time, "sleep", lambda _: next(waits))
    attendance.submit()
    with pytest.raises(StopIteration):
        attendance.wait()
    assert tries == 2, "when it was submitted, and with the first look"


def test_details_of_jobs_are_printed_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    attendance = attended(tmp_path)
    monkeypatch.setattr(type(attendance.submission), "submit", lambda *_: [job("7", task(1).key)])
    for state in ("PENDING", "RUNNING"):
        monkeypatch.setattr(queue, "states", listing(_7=state))
        with messages.printed(messages.VERBOSE):
            if not attendance.live:
                attendance.submit()
            attendance._look()
    outcome.write(attendance.run.folder, "job7", None)
    with messages.printed(messages.VERBOSE):
        attendance._read_outcomes()
    lines = [line.split(maxsplit=1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines[0].startswith("submit job 7 (") and lines[0].endswith("/log/7_0_log.out")
    assert lines[1].startswith("begin  job 7 (") and lines[2].startswith("done   job 7 (")
    assert platform.node() in lines[2] and len(lines) == 3


def test_a_job_that_reached_its_time_limit_is_submitted_again(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So are those that wait for it, which the cluster cancels; another job goes on."""
    first, left, right, last = fan(2)
    attendance = attended(tmp_path)
    run = attendance.run
    run.add([job("1", first.key), job("2", left.key), job("3", right.key), job("4", last.key)])
    numbers = iter(range(11, 99))
    submitted: list[tuple[str, ...]] = []

    def submit(folder: Path, settings: Settings, batch: sbatch.Batch, order: str) -> list[str]:
        submitted.append(batch.after)
        return [str(next(numbers))]

    monkeypatch.setattr(sbatch, "submit", submit)
    monkeypatch.setattr(queue, "largest_array", lambda: 1)
    monkeypatch.setattr(queue, "states", listing(_1="RUNNING", _2="PENDING", _3="PENDING", _4="PENDING"))
    attendance.attach()
    outcome.write(run.folder, "job1", None)
    attendance._read_outcomes()
    monkeypatch.setattr(queue, "states", listing(_2="TIMEOUT", _3="RUNNING", _4="CANCELLED"))
    attendance._look()
    assert "submitting it again (1 of 4)" in capsys.readouterr().err
    attendance.submit()
    assert sorted(each.id for each in attendance.live.values()) == ["11", "12", "3"]
    assert sorted(each.id for each in run.jobs) == ["1", "11", "12", "3"]
    assert submitted == [(), ("3", "11")], "no probe, and nobody waits for what is done"
    run.timeouts |= {left.key: 4}
    run.save()
    monkeypatch.setattr(queue, "states", listing(_11="TIMEOUT", _3="RUNNING", _12="PENDING"))
    with pytest.raises(UvlpError) as caught:
        attendance._look()
    assert "job 11" in caught.value.what and "time limit" in caught.value.what


def test_two_processes_of_the_same_command_submit_every_job_once(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one could not submit is submitted by either, and what one submits again is not by the other."""
    numbers = iter(range(1, 99))
    room = 2

    def submit(folder: Path, settings: Settings, batch: sbatch.Batch, order: str) -> list[str]:
        nonlocal room
        if room == 0:
            raise sbatch.SubmitLimit("MaxJobCount")
        room -= 1
        return [str(next(numbers))]

    monkeypatch.setattr(sbatch, "submit", submit)
    monkeypatch.setattr(queue, "largest_array", lambda: 1)
    states = {str(number): queue.State("PENDING") for number in range(1, 99)}
    monkeypatch.setattr(queue, "states", lambda: states)
    one, other = attended(tmp_path), attended(tmp_path)
    for each in (one, other):
        with each.run.alone():
            each.attach()
            each.submit()
    assert set(one.live) == set(other.live) and len(one.live) == 2 and other.submission.left == 3
    room = 99
    other.submit()
    one.submit()
    assert one.live == other.live and len(one.live) == 5 and next(numbers) == 6
    first = next(job for job in one.live.values() if job.tasks == (one.work.tasks[0].key,))
    monkeypatch.setattr(queue, "states", lambda: states | {first.id: queue.State("TIMEOUT")})
    for each in (one, other):
        each._look()
        each.submit()
    assert one.live == other.live and first not in one.live.values()
    assert capsys.readouterr().err.count("submitting it again") == 1


def test_another_process_that_submits_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = Run(tmp_path / "r"), Run(tmp_path / "r")
    order: list[str] = []

    def wait() -> None:
        with other.alone():
            order.append(f"{len(other.jobs)} jobs")

    with one.alone():
        thread = threading.Thread(target=wait)
        thread.start()
        while "waiting: another uvlp process on" not in capsys.readouterr().err:
            time.sleep(0.01)
        one.add([job("1")])
        order.append("submitted")
    thread.join()
    assert order == ["submitted", "1 jobs"]


def test_a_job_that_waited_for_one_that_was_done_after_its_time_limit_is_submitted_again(
    cancelled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, left, right, last = fan(2)
    attendance = attended(tmp_path)
    attendance.live = {f"job{row}": job(str(row), each.key) for row, each in enumerate((first, left), 1)}
    never = queue.State("CANCELLED", "", "DependencyNeverSatisfied")
    monkeypatch.setattr(queue, "states", lambda: {"1": queue.State("TIMEOUT"), "2": never})
    outcome.write(attendance.run.folder, "job1", None)
    monkeypatch.setattr(attending, "GRACE_S", 0.0)
    attendance._look()
    attendance._look()
    assert not attendance.live and attendance.submission.left == len([left, right, last])
    never_again = queue.State("CANCELLED", "", "None")
    attendance.live = {"job2": job("2", left.key)}
    monkeypatch.setattr(queue, "states", lambda: {"2": never_again})
    with pytest.raises(UvlpError) as caught:
        attendance._look()
    assert "was cancelled" in caught.value.what
