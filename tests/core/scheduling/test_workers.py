"""Worker processes: order, errors, signals."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.pretend_cards import Driver, cards as pretended
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.progress import Event, Progress
from uvlp.core.scheduling import workers
from uvlp.core.scheduling.cards import Asked, Parallel, parallel
from uvlp.core.scheduling.rule import Needs


@dataclass(frozen=True)
class Job:
    key: str
    inputs: Mapping[str, "Job"] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"job {self.key}"


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


class Recorder:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, title: str) -> None:
        self.lines.append(f"begin {title}")

    def event(self, title: str, event: Event) -> None:
        self.lines.append(f"event {title} {event.message}")

    def end(self, title: str, seconds: float) -> None:
        self.lines.append(f"end {title}")

    def close(self) -> None:
        self.lines.append("close")


Cards = tuple[str, ...]


def _touch(folder: Path, job: Job, progress: Progress, _: Cards) -> None:
    for needed in job.inputs.values():
        assert (folder / needed.key).exists()
    progress.log("working")
    (folder / job.key).write_text(os.environ["UVLP_TEST_WORKER"])


def _fail(job: Job, progress: Progress, _: Cards) -> None:
    if job.key == "bad input":
        raise UvlpError("broken", got="x")
    if job.key == "full GPU":
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB")
    if job.key == "defect":
        raise ZeroDivisionError("division by zero")
    os.kill(os.getpid(), signal.SIGKILL)


def run(jobs: list[Job], make: object, view: Recorder, on: Parallel | None = None, **more: object) -> None:
    environment = {"UVLP_TEST_WORKER": "set"}
    on = on or Parallel(workers=2)
    workers.run(jobs, make, parallel=on, environment=environment, view=view, **more)  # type: ignore[arg-type]


def test_inputs_finish_before_their_consumers_start(tmp_path: Path) -> None:
    first, second = Job("a"), Job("b")
    third = Job("c", {"a": first, "b": second})
    view = Recorder()
    run([third, first, second], partial(_touch, tmp_path), view)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}
    assert (tmp_path / "c").read_text() == "set"
    assert view.lines.index("begin job c") > max(view.lines.index(f"end job {key}") for key in "ab")
    assert "event job a working" in view.lines and view.lines[-1] == "close"


def test_indirect_inputs_are_waited_for(tmp_path: Path) -> None:
    rebuilt = Job("a")
    finished = Job("b", {"a": rebuilt})
    (tmp_path / "b").touch()
    view = Recorder()
    run([Job("c", {"b": finished}), rebuilt], partial(_touch, tmp_path), view)
    assert view.lines.index("begin job c") > view.lines.index("end job a")


NEEDS = {
    "every": Needs(cards=8),
    "two": Needs(cards=2),
    "alone": Needs(cards=1),
    "shared": Needs(cards=1, shared=True),
    "host": Needs(),
}


def _needs(job: Job) -> Needs:
    return NEEDS[job.key.split()[0]]


def _record_cards(folder: Path, job: Job, progress: Progress, cards: Cards) -> None:
    """Write what the process sees, when it began and ended, and what is reserved."""
    assert "torch" not in sys.modules, "the card is chosen before torch is imported"
    began = time.monotonic()
    time.sleep(0.05)
    found = {
        "began": began,
        "ended": time.monotonic(),
        "reserved": cards,
        "seen": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    (folder / job.key).write_text(json.dumps(found), encoding="utf-8")


def _recorded(folder: Path, keys: list[str], asked: Asked) -> dict[str, dict[str, Any]]:
    """Run jobs on the pretended cards; return what each recorded."""
    folder.mkdir()
    run([Job(key) for key in keys], partial(_record_cards, folder), Recorder(), parallel(asked), needs=_needs)
    return {key: json.loads((folder / key).read_text(encoding="utf-8")) for key in keys}


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["began"] < other["ended"] and other["began"] < one["ended"]


@pytest.mark.slow
def test_every_job_sees_its_own_card_and_all_are_used(
    tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.install(pretended(8))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    keys = [f"alone {number}" for number in range(16)]
    found = _recorded(tmp_path / "jobs", keys, Asked(workers=8))
    assert {each["seen"] for each in found.values()} == {f"GPU-{card}0000000" for card in range(8)}
    assert all(each["reserved"] == [each["seen"]] for each in found.values())
    for one in keys:
        for other in keys:
            if one != other and found[one]["seen"] == found[other]["seen"]:
                assert not _overlap(found[one], found[other]), "two on one card"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2,3,4,5,6,7", "as the user set it"


@pytest.mark.slow
def test_job_for_all_cards_has_them_to_itself(tmp_path: Path, driver: Driver) -> None:
    driver.install(pretended(8))
    keys = ["alone a", "shared b", "every c", "alone d", "every e", "shared f", "host g"]
    found = _recorded(tmp_path / "jobs", keys, Asked(workers=8, per_gpu=2))
    for every in ("every c", "every e"):
        assert set(found[every]["reserved"]) == {f"GPU-{card}0000000" for card in range(8)}
        assert found[every]["seen"] == found[every]["reserved"][0]
        assert not any(_overlap(found[every], found[key]) for key in keys if key not in (every, "host g"))
    assert found["host g"]["reserved"] == []


def test_jobs_for_some_cards_run_side_by_side(tmp_path: Path, driver: Driver) -> None:
    driver.install(pretended(4))
    found = _recorded(tmp_path / "jobs", ["two a", "two b"], Asked(workers=4, gpus_per_finetune=2))
    assert len({*found["two a"]["reserved"], *found["two b"]["reserved"]}) == 4


def test_without_cards_the_environment_is_left_alone(
    tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.install([])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = _recorded(tmp_path / "jobs", ["host a"], Asked())
    assert found["host a"]["seen"] == "" and found["host a"]["reserved"] == []


def _lose(folder: Path, job: Job, progress: Progress, cards: Cards) -> None:
    if job.key == "alone 0":
        (folder / "lose").rename(folder / "nvidia-smi")
        raise RuntimeError("CUDA error: unspecified launch failure")
    time.sleep(60)


def test_card_that_disappears_is_named(tmp_path: Path, driver: Driver) -> None:
    driver.install(pretended(2)[1:])
    (tmp_path / "nvidia-smi").rename(tmp_path / "lose")
    driver.install(pretended(2))
    with pytest.raises(UvlpError) as caught:
        on = parallel(Asked(workers=2))
        run([Job("alone 0"), Job("alone 1")], partial(_lose, tmp_path), Recorder(), on, needs=_needs)
    assert "GPU 0 (NVIDIA H200)" in caught.value.what and "job alone 0" in caught.value.what
    assert "unspecified launch failure" in str(caught.value.got) and "_lose" in caught.value.details
    assert [card.index for card in parallel(Asked()).cards] == [1], "the next call uses the others"


def test_user_error_in_a_worker_is_raised_in_the_main_process() -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("bad input")], _fail, Recorder())
    assert (caught.value.what, caught.value.got) == ("broken", "x")
    assert "_fail" in caught.value.details


def test_full_gpu_is_a_user_error() -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("full GPU")], _fail, Recorder())
    assert "--per-gpu 1" in str(caught.value.fix)


def test_unexpected_error_in_a_worker_keeps_its_traceback() -> None:
    with pytest.raises(WorkerFailed, match="ZeroDivisionError: division by zero") as caught:
        run([Job("defect")], _fail, Recorder())
    assert "_fail" in caught.value.details


def test_killed_worker_is_reported() -> None:
    with pytest.raises(WorkerFailed, match=r"'job killed' was killed \(SIGKILL; out of memory\?\)"):
        run([Job("killed")], _fail, Recorder())


def _interrupted_twice(folder: Path, job: Job, progress: Progress, _: Cards) -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        (folder / "continued").touch()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        (folder / "cleaned up").touch()


def test_second_signal_does_not_interrupt_clean_up(tmp_path: Path) -> None:
    with pytest.raises(Stopped) as caught:
        run([Job("stopped")], partial(_interrupted_twice, tmp_path), Recorder())
    assert "'job stopped'" in caught.value.what
    assert [path.name for path in tmp_path.iterdir()] == ["cleaned up"]
    assert caught.value.exit_code == 130


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (-signal.SIGTERM, "stopped by SIGTERM"),
        (128 + signal.SIGINT, "stopped by SIGINT"),
        (-signal.SIGSEGV, "ended by SIGSEGV"),
        (3, "ended with exit code 3"),
    ],
)
def test_error_describes_how_a_process_ended(code: int, cause: str) -> None:
    assert cause in str(workers.process_death("a process", code))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
    ],
)
def test_full_memory_is_a_user_error(error: Exception) -> None:
    with pytest.raises(UvlpError) as caught:
        run([Job("large")], partial(_raise, error), Recorder())
    assert caught.value.what == "out of memory"


def _raise(error: Exception, job: Job, progress: Progress, _: Cards) -> None:
    raise error
