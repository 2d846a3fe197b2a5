"""Tasks without computation, and a function that makes them on any node: launchers need no more."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.other_packages import install
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.errors import UvlpError
from uvlp.declarations.launcher import Launch, Make


def task(number: int, stage: str = "pixels", inputs: Mapping[str, Task] | None = None) -> Task:
    """Return a task that is told apart by a number."""
    return Task(
        kind="pixels", stage=stage, facts={"number": number}, inputs=inputs or {}, title=f"{stage} {number}"
    )


def fan(width: int) -> list[Task]:
    """Return a task, ``width`` tasks that read it, and one that reads those; inputs first."""
    first = task(0)
    middle = [task(1 + row, "evaluate", {"first": first}) for row in range(width)]
    last = task(99, "tabulate", {str(row): each for row, each in enumerate(middle)})
    return [first, *middle, last]


@dataclass(frozen=True)
class MakeNumbers(Make):
    """Makes tasks: waits, and writes the number of the job to a file; ``wrong`` ones are a user's mistake."""

    seconds: float
    wrong: tuple[int, ...]

    def __call__(self, jobs: Sequence[Task], workers: int | None) -> None:
        """Make the tasks."""
        store = Store(self.root)
        store.prepare()
        for each in jobs:
            number = each.facts["number"]
            if number in self.wrong:
                raise UvlpError("a wrong number", got=number, allowed="another one", fix="change it")
            with store.making(each, print) as folder:
                if folder is None:
                    continue
                for earlier in each.inputs.values():
                    assert store.sees(earlier), f"{each.title} started before {earlier.title}"
                _wait(store.partial(each) / "steps", int(10 * self.seconds))
                for name, variable in (("made", "SLURM_JOB_ID"), ("cards", "CUDA_VISIBLE_DEVICES")):
                    (folder / f"{name}.txt").write_text(os.environ.get(variable, "-"), encoding="utf-8")
                store.commit(each, folder, {"at": "2026-01-01T00:00:00Z"})


def _wait(file: Path, steps: int) -> None:
    """Wait a tenth of a second per step; the file keeps how many are done, as a checkpoint does."""
    done = len(file.read_text(encoding="utf-8")) if file.is_file() else 0
    for step in range(done, steps):
        time.sleep(0.1)
        file.write_text("." * (step + 1), encoding="utf-8")


def work(
    root: Path,
    tasks: Sequence[Task],
    *,
    seconds: float = 0.1,
    wrong: Sequence[int] = (),
    estimates: Mapping[str, float] | None = None,
    detach: bool = False,
    cards: Mapping[str, int] | None = None,
) -> Launch:
    """Return the work of making ``tasks`` in a store."""
    missing = tuple(each for each in tasks if not Store(root).has(each))
    return Launch(
        name=tasks[-1].key,
        root=root,
        tasks=missing,
        jobs=missing,
        seconds=estimates or {each.key: 60.0 for each in tasks},
        make=MakeNumbers(root, seconds, tuple(wrong)),
        cards=cards or {},
        detach=detach,
    )


def installed(folder: Path) -> None:
    """Install a package that makes `MakeNumbers` known where ``folder`` is on the path: it has a plug-in."""
    install(folder, "chains", {}, {"launchers": {"numbers": "tests.launchers.chains"}})
