"""A fine-tuning on several machines of a job: two process groups of this one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.models.finetuning.finetuning_jobs import bytes_of, job, make_world
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.progress import Event, Progress
from uvlp.core.scheduling import meeting
from uvlp.models.finetuning import launch
from uvlp.models.finetuning.job import run

FOLLOW = "uvlp.models.finetuning.follow"


@pytest.mark.slow
def test_two_machines_give_the_bytes_of_two_processes_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without it each group would divide the cores of the machine anew, and sums depend on the threads.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    world, place = make_world(tmp_path / "world"), tmp_path / "meeting"
    place.mkdir()
    one = job(world, tmp_path / "one")
    launch.launch(one.to_json(), Path(one.partial), 2, Progress(), cpu=True)
    for name, value in ((meeting.MACHINES, "2"), (meeting.MEETING, str(place))):
        monkeypatch.setenv(name, value)
    follower = subprocess.Popen([sys.executable, "-m", FOLLOW, str(place), "1"], env=os.environ)
    try:
        two = job(world, tmp_path / "two")
        events: list[Event] = []
        run(two, Progress(events.append))
        assert not (place / meeting.CALL).exists() and follower.poll() is None, "it waits for the next call"
        assert [event.done for event in events if event.label == "updates"][-1] == 4
        (place / meeting.END).touch()
        assert follower.wait(60) == 0
    finally:
        follower.kill()
        follower.wait()
    assert bytes_of(tmp_path / "two/folder") == bytes_of(tmp_path / "one/folder")
    monkeypatch.delenv(meeting.MACHINES)
    shutil.rmtree(tmp_path / "one/folder")
    alone = job(world, tmp_path / "one/alone")
    run(alone, Progress())
    assert bytes_of(tmp_path / "one/alone/folder") != bytes_of(tmp_path / "two/folder"), "sums are grouped"


def test_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(meeting.MEETING, str(tmp_path))
    monkeypatch.setenv(meeting.MACHINES, "3")
    assert meeting.heard(tmp_path) is None
    with meeting.calling(tmp_path / "job", 4, cpu=False, port=1234) as call:
        assert meeting.heard(tmp_path) == call and call.machines == 3
        (tmp_path / meeting.CALL).write_text("{", encoding="utf-8")
        assert meeting.heard(tmp_path) is None
    command = launch.command(Path("job.json"), 8, False, call, 2)
    assert command[command.index("--num_processes") + 1] == "24"
    assert command[command.index("--machine_rank") + 1] == "2"
    assert command[command.index("--main_process_ip") + 1] == call.address


def test_a_machine_that_does_not_answer_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections break off, which is no defect: the cluster starts the job anew."""
    monkeypatch.setenv(meeting.MEETING, str(tmp_path))
    monkeypatch.setattr(meeting, "ANSWER_S", 1.0)
    failure = WorkerFailed("Connection reset by peer", "")
    with pytest.raises(WorkerFailed):
        launch._fail(failure)  # there is no other machine
    monkeypatch.setenv(meeting.MACHINES, "3")
    here: list[int] = [2]

    def pause(_: float) -> None:
        for rank in here:
            meeting.answer(tmp_path, rank)

    monkeypatch.setattr(time, "sleep", pause)
    with pytest.raises(Stopped) as caught:
        launch._fail(failure)
    assert caught.value.what == "machine 1 of the job does not answer"
    here.append(1)
    with pytest.raises(WorkerFailed):
        launch._fail(failure)
    with pytest.raises(UvlpError) as mistake:
        launch._fail(UvlpError("a wrong number"))
    assert mistake.value.what == "a wrong number"
