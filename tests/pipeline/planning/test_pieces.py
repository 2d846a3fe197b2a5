"""Pieces of a task: the same artifact from any number of jobs, whichever of them is killed how often."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from uvlp.artifacts.parts.parts import Plan, Share
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, Task
from uvlp.artifacts.work import Work
from uvlp.core import plugins
from uvlp.core.files.leases import lease
from uvlp.core.progress import Progress
from uvlp.pipeline.making import execute
from uvlp.pipeline.planning import pieces
from uvlp.pipeline.planning.pieces import Divided, Piece

FORK = multiprocessing.get_context("fork")
PARTS_PER_JOB, BATCH_S, KILLS = 25, 0.002, 20


def task(parts: int) -> Task:
    return Task(kind="features", stage="stand-in", facts={"parts": parts}, title="stand-in")


def stage(log: Path) -> SimpleNamespace:
    """Return a stage that writes two lines per part, slowly, and logs when it begins and ends each."""

    def note(text: str) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def run(work: Work) -> None:
        parts = work.parts()
        plan = parts.begin(
            Plan(items=2 * work.task.facts["parts"], batch=1, size=2, device="cpu", dtype="float32")
        )
        for part in work.missing(parts, plan, "lines"):
            note(f"begin {part.start}")
            with parts.making(part, plan) as unfinished:
                for batch in plan.batches(part):
                    time.sleep(BATCH_S)
                    with (unfinished.folder / "lines.txt").open("a", encoding="utf-8") as file:
                        file.write(f"{batch.start}\n")
                unfinished.counts["lines"] += len(part)
            note(f"end {part.start}")
        if work.share.publishes:
            folders = [parts.folder(part.start) for part in plan.parts(Share())]
            text = "".join((folder / "lines.txt").read_text(encoding="utf-8") for folder in folders)
            (work.folder / "lines.npy").write_text(text, encoding="utf-8")
            work.note(parts.counts())

    return SimpleNamespace(run=run)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Replace the stages, and the facts about the machine, which need torch.

    A process that is killed before it wrote into its lease leaves one of nobody, which ends after a while.
    """
    monkeypatch.setattr(lease, "STALE_S", 0.3)
    monkeypatch.setattr(plugins, "load", lambda *_: stage(tmp_path / "log"))
    monkeypatch.setattr(execute, "_made", lambda *_: {})
    yield tmp_path / "log"


def start(work: Callable[[], None]) -> multiprocessing.process.BaseProcess:
    def quietly() -> None:
        work()
        os._exit(0)

    process = FORK.Process(target=quietly)
    process.start()
    return process


@pytest.mark.parametrize("count", [1, *(pytest.param(count, marks=pytest.mark.slow) for count in (3, 16))])
def test_jobs_of_which_one_is_killed_again_and_again_make_every_part_once(
    tmp_path: Path, log: Path, count: int
) -> None:
    wanted, root = task(PARTS_PER_JOB * count), tmp_path / "store"
    Store(root).prepare()
    jobs = pieces.pieces(wanted, count)
    order, draw = random.Random(count), random.Random(0)
    order.shuffle(jobs)

    def run(job: Piece) -> multiprocessing.process.BaseProcess:
        return start(lambda: execute._make_piece(root, job, Progress()))

    others, killed = [run(job) for job in jobs[1:]], 0
    while killed < KILLS:
        victim = run(jobs[0])
        time.sleep(draw.uniform(0, 6 * BATCH_S))
        victim.kill()
        victim.join()
        killed += victim.exitcode != 0
    for process in [*others, run(jobs[0])]:
        process.join()
        assert process.exitcode == 0
    assert not Store(root).has(wanted)
    execute._write(root, wanted, Progress())
    begun, ended = (
        Counter(line.split()[1] for line in log.read_text(encoding="utf-8").splitlines() if line[0] == first)
        for first in "be"
    )
    assert max(ended.values()) == 1 and len(begun) == PARTS_PER_JOB * count
    assert begun.total() <= PARTS_PER_JOB * count + killed
    folder = Store(root).folder(wanted)
    assert (folder / "lines.npy").read_text(encoding="utf-8") == "".join(
        f"{line}\n" for line in range(2 * PARTS_PER_JOB * count)
    )
    assert f'"lines": {2 * PARTS_PER_JOB * count}' in (folder / "notes.json").read_text(encoding="utf-8")
    assert not (root / "partial").exists() or not list((root / "partial").iterdir())


def test_a_piece_of_a_finished_artifact_does_nothing(tmp_path: Path, log: Path) -> None:
    root, wanted = tmp_path / "store", task(2)
    Store(root).prepare()
    execute._write(root, wanted, Progress())
    log.unlink()
    execute._make_piece(root, Piece(wanted, 0, 2), Progress())
    assert not log.exists() and (Store(root).folder(wanted) / MANIFEST).is_file()


def test_a_piece_locks_only_itself(tmp_path: Path, log: Path) -> None:
    root, wanted, lines = tmp_path / "store", task(3), list[str]()
    Store(root).prepare()
    with Store(root).making_piece(wanted, Piece(wanted, 0, 2).name, lines.append) as needed:
        assert needed
        execute._make_piece(root, Piece(wanted, 1, 2), Progress())
        execute._write(root, wanted, Progress())
    assert lines == [] and Counter(log.read_text(encoding="utf-8").split())["end"] == 3


def test_pieces_wait_for_the_inputs_and_the_task_for_its_pieces() -> None:
    captions = Task(kind="captions", stage="caption")
    wanted = Task(kind="features", stage="embed", inputs={"captions": captions}, title="features of texts")
    made, last = pieces.pieces(wanted, 2), Divided(wanted, 2)
    assert [piece.key for piece in made] == [f"{wanted.key}.part-1-of-2", f"{wanted.key}.part-2-of-2"]
    assert [piece.share for piece in made] == [
        Share(0, 2, publishes=False),
        Share(1, 2, publishes=False),
    ]
    assert pieces.pieces(captions, 2)[1].share == Share(1, 2, publishes=False, helps=True)
    assert made[1].title == "features of texts, part 2 of 2" and made[1].inputs == wanted.inputs
    assert (last.key, last.title, last.stage) == (wanted.key, wanted.title, "embed")
    assert {each.key for each in last.inputs.values()} == {captions.key, *(piece.key for piece in made)}
    for job in (*made, last):
        assert pickle.loads(pickle.dumps(job)) == job


def test_tasks_are_divisible_if_their_parts_are_independent() -> None:
    def one(stage: str, **more: Any) -> bool:
        return pieces.divisible(Task(kind="any", stage=stage, **more))

    assert one("embed") and one("caption", facts={"precision": "auto"})
    assert one("synthesise", inputs={"prototypes": task(1)})
    assert one("prototype", facts={"method": "vlcp"}) and one("prototype", facts={"method": "d4m"})
    assert not one("prototype", facts={"method": "uvlp"}), "one of its α is that of all classes"
    assert not any((one("caption"), one("synthesise"), one("sample"), one("finetune"), one("evaluate")))


@pytest.mark.parametrize(
    ("whole_set", "minutes", "cards", "count"),
    [
        (True, 0, 8, 8),  # of unknown time
        (True, 29, 8, 8),
        (True, 8 * 30, 8, 8),
        (True, 15 * 30, 8, 8),  # 15 pieces would take as long as 16 of the same length
        (True, 16 * 30, 8, 16),
        (True, 1000 * 30, 8, 4 * 8),
        (False, 29, 8, 1),
        (False, 3 * 30, 8, 3),
        (False, 20 * 30, 8, 16),
        (True, 29, 1, 1),
        (False, 1000 * 30, 1, 4),
    ],
)
def test_one_rule_divides_tasks(whole_set: bool, minutes: int, cards: int, count: int) -> None:
    wanted = Task(kind="features", stage="embed", facts={} if whole_set else {"ipc": 10})
    jobs = pieces.jobs_of(wanted, 60.0 * minutes, 1800.0, cards, most=4)
    assert jobs == ([*pieces.pieces(wanted, count), Divided(wanted, count)] if count > 1 else [wanted])
    whole = Task(kind="weights", stage="finetune")
    assert pieces.jobs_of(whole, 60.0 * minutes, 1800.0, cards) == [whole]


def test_jobs_that_help_one_another_need_not_be_short() -> None:
    captions = Task(kind="captions", stage="caption", facts={"precision": "auto"})
    counts = [len(pieces.jobs_of(captions, 3600.0 * hours, 300.0)) - 1 for hours in (0.5, 4, 8, 64, 640)]
    assert counts == [6, 48, 64, 128, pieces.MOST_PIECES]


def test_long_tasks_are_divided_for_a_launcher(tmp_path: Path) -> None:
    long, short = (Task(kind="features", stage="embed", facts={"n": number}) for number in range(2))
    other = Task(kind="weights", stage="finetune")
    seconds = {long.key: 7200.0, short.key: 1900.0, other.key: 7200.0}
    jobs = pieces.divided([long, short, other], seconds, 1800.0)
    assert jobs == (*pieces.pieces(long, 4), Divided(long, 4), short, other)
    assert [seconds[job.key] for job in jobs] == [*[1800.0] * 4, pieces.PUBLISHED_S, 1900.0, 7200.0]
    assert all(pieces.task_of(job) in (long, short, other) for job in jobs)
