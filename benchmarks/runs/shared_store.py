"""Processes that share one store, stopped and killed at random: is an artifact lost or published twice?

    python -m benchmarks.runs.shared_store [--seconds 600] [--processes 8]

Every process makes the same artifacts, in another order; every other one has its own host and process
namespace. Leases end after a second, so that holders that were stopped are taken over all the time. `flock`
is refused in half of the processes and granted to everybody in the others. Each artifact contains the name
of the attempt that made it; each attempt that published, or that was too late, is appended to a file.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.artifacts import captions
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.files.leases import lease
from uvlp.core.files.lines import read_lines
from uvlp.core.files.writing import complete_file

BEAT_S, STALE_S, POLL_S = 0.1, 1.0, 0.05
LONGEST_WORK_S = 0.3
LONGEST_STOP_S = 4 * STALE_S
PAUSE_S = 0.15
"""Mean time between two kills or stops."""
WINDOW, PARTS = 4, 3
NAMESPACES = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
ATTEMPT, DONE, END = "metadata.jsonl", "attempts", "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts of a run.

    Attributes:
        artifacts: finished artifacts.
        lost: published and gone, damaged, or replaced by another attempt.
        published_twice: artifacts that more than one attempt published.
        twice: attempts that finished after another one had published.
        kills, stops: of processes.
        failures: processes that ended with an error, which a kill is not.
        leftovers: temporary folders, partial folders and leases after the last sweep.
    """

    artifacts: int
    lost: int
    published_twice: int
    twice: int
    kills: int
    stops: int
    failures: int
    leftovers: int


def task(number: int) -> Task:
    """Return the task of an artifact that takes no time to compute."""
    return Task(kind=captions.KIND, stage="caption", title=f"artifact {number}", facts={"number": number})


def work(root: Path, name: str, refuses: bool) -> None:
    """Make artifacts until the file `END` appears."""
    fcntl.flock = _refuse if refuses else _grant
    lease.BEAT_S, lease.STALE_S, lease.POLL_S = BEAT_S, STALE_S, POLL_S
    store, generator, first = Store(root / "store"), random.Random(name), 0
    store.prepare()
    while not (root / END).exists():
        while store.has(task(first)):
            first += 1
        make(store, task(first + generator.randrange(WINDOW)), generator, root / DONE / name)


def make(store: Store, wanted: Task, generator: random.Random, done: Path) -> None:
    """Make one artifact in parts that the next attempt resumes from, and append the outcome to ``done``."""
    attempt, published = f"{done.name} {os.urandom(8).hex()}", False
    with store.making(wanted, lambda text: None) as folder:
        if folder is None:
            return
        for part in range(PARTS):
            path = store.partial(wanted) / f"{part}.txt"
            if not path.exists():
                time.sleep(generator.uniform(0, LONGEST_WORK_S / PARTS))
                with complete_file(path) as unfinished:
                    unfinished.write_text(f"part {part}", encoding="utf-8")
        (folder / captions.PROMPTS).write_text("", encoding="utf-8")
        for part in range(PARTS):
            shutil.copyfile(store.partial(wanted) / f"{part}.txt", folder / f"{part}.txt")
        (folder / ATTEMPT).write_text(attempt, encoding="utf-8")
        published = store.commit(wanted, folder, {})
    line = json.dumps({"artifact": wanted.facts["number"], "attempt": attempt, "published": published})
    with done.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _refuse(*_: object) -> None:
    raise OSError("flock is refused")


def _grant(*_: object) -> None:
    return None


def namespaces() -> tuple[str, ...]:
    """Return the command that puts a process into its own host and process namespaces; () if impossible."""
    try:
        tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False)
    except OSError:
        return ()
    return NAMESPACES if tried.returncode == 0 else ()


def run(root: Path, seconds: float, processes: int, seed: int = 0) -> Outcome:
    """Run processes on ``root`` for some seconds, disturb them, and count."""
    (root / DONE).mkdir(parents=True)
    generator, counts = random.Random(seed), Counter[str]()
    pool = [_start(root, number) for number in range(processes)]
    until = time.monotonic() + seconds
    stopped: dict[int, float] = {}
    while time.monotonic() < until:
        time.sleep(generator.expovariate(1 / PAUSE_S))
        _continue(pool, stopped, time.monotonic())
        number = generator.randrange(processes)
        if pool[number].poll() is not None:
            counts["failures"] += 1
            pool[number] = _start(root, number)
        elif generator.random() < 0.5:
            counts["kills"] += 1
            stopped.pop(number, None)
            _signal(pool[number], signal.SIGKILL)
            pool[number].wait()
            pool[number] = _start(root, number)
        elif number not in stopped:
            counts["stops"] += 1
            _signal(pool[number], signal.SIGSTOP)
            stopped[number] = time.monotonic() + generator.uniform(0, LONGEST_STOP_S)
    _continue(pool, stopped, float("inf"))
    (root / END).touch()
    counts["failures"] += sum(process.wait() != 0 for process in pool)
    return _count(root, counts)


def _start(root: Path, number: int) -> subprocess.Popen[bytes]:
    """Start a process; every other one in its own namespaces."""
    name = f"{number}-{os.urandom(4).hex()}"
    program = [sys.executable, "-m", "benchmarks.runs.shared_store", "--work", name, "--store", str(root)]
    prefix = namespaces() if number % 2 else ()
    return subprocess.Popen([*prefix, *program], start_new_session=True)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    os.killpg(process.pid, number)


def _continue(pool: list[subprocess.Popen[bytes]], stopped: dict[int, float], now: float) -> None:
    for number, until in list(stopped.items()):
        if until <= now:
            del stopped[number]
            _signal(pool[number], signal.SIGCONT)


def _count(root: Path, counts: Counter[str]) -> Outcome:
    store, published, twice = Store(root / "store"), dict[int, list[str]](), 0
    for path in (root / DONE).iterdir():
        for line in read_lines(path):
            entry = json.loads(line)
            if entry["published"]:
                published.setdefault(entry["artifact"], []).append(entry["attempt"])
            twice += not entry["published"]
    lost = [number for number, attempts in published.items() if not _is_intact(store, number, attempts[0])]
    time.sleep(STALE_S)
    _end_leases(root / "store" / ".locks")
    store.sweep()
    left = [path for name in (".tmp", ".locks") for path in (root / "store" / name).iterdir()]
    finished = list((root / "store" / captions.KIND).iterdir())
    parts = root / "store" / "partial"
    names = {f"{captions.KIND}-{path.name}" for path in finished}
    left += [path for path in parts.iterdir() if path.name in names] if parts.is_dir() else []
    for line in [
        *(f"lost: {store.folder(task(each))}" for each in lost),
        *(f"left: {each}" for each in left),
    ]:
        print(line, file=sys.stderr)
    return Outcome(
        artifacts=len(finished),
        lost=len(lost),
        published_twice=sum(len(attempts) > 1 for attempts in published.values()),
        twice=twice,
        kills=counts["kills"],
        stops=counts["stops"],
        failures=counts["failures"],
        leftovers=len(left),
    )


def _is_intact(store: Store, number: int, attempt: str) -> bool:
    folder = store.folder(task(number))
    wrong = not store.has(task(number)) or store.damage(task(number))
    return not wrong and (folder / ATTEMPT).read_text(encoding="utf-8") == attempt


def _end_leases(folder: Path) -> None:
    """Take the leases of killed processes, as whoever makes their artifacts next would."""
    lease.STALE_S, lease.POLL_S = STALE_S, POLL_S
    for path in folder.glob("*.lease"):
        lease.acquire(path, lambda _: None).release()


def main() -> None:
    """Run the processes, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help="an empty folder, e.g. on a shared file system")
    asked = parser.parse_args()
    if asked.work:
        work(asked.store, asked.work, refuses=int(asked.work.split("-")[0]) % 4 < 2)
        return
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(asked.store or Path(folder), asked.seconds, asked.processes)
    print(f"own namespaces: {'every other process' if namespaces() else 'not possible here'}")
    for name, value in asdict(outcome).items():
        print(f"{name.replace('_', ' '):<16} {value}")
    if outcome.lost or outcome.published_twice or outcome.failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
