"""SIGKILL at random moments, and two processes on one store: results have the bytes of an undisturbed run."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.attack import ground
from tests.attack.ground import NANO, Attack, Outcome, call, nothing, right
from tests.attack.kinds.stores import FILES
from tests.flipping import flip

NEW = (*NANO, "--store", "new")
KILLS = 3
"""Kills of each run before it may finish."""
DRAWS = 2
PATIENCE_S = 3 * ground.PATIENCE_S
"""For a complete run; other attacks run a part."""
Victims = Callable[[int, random.Random], None]
Change = Callable[[Path, random.Random], None]


def start(arguments: Sequence[str | bytes], root: Path) -> subprocess.Popen[bytes]:
    """Start a call in the background, in its own process group; its output goes to files."""
    attack = Attack(kind="", name="", call=arguments, expected=right())
    with (root / "out.txt").open("ab") as out, (root / "err.txt").open("ab") as err:
        return subprocess.Popen(
            [*ground.PYTHON, "-m", "uvlp", *arguments],
            cwd=root,
            env=ground.environment(attack),
            stdout=out,
            stderr=err,
            start_new_session=True,
        )


def _all(pid: int, _: random.Random) -> None:
    os.killpg(pid, signal.SIGKILL)


def _main(pid: int, _: random.Random) -> None:
    os.kill(pid, signal.SIGKILL)


def _worker(pid: int, chance: random.Random) -> None:
    """One of the processes that make artifacts, as soon as there is one."""
    until = time.monotonic() + PATIENCE_S
    while (workers := _children(pid)) == [] and time.monotonic() < until:
        time.sleep(0.01)
    if workers:
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.kill(chance.choice(workers), signal.SIGKILL)


def _children(pid: int) -> list[int] | None:
    """Workers of a process; None where it, or one of them, has just ended.

    Python's own resource tracker is another child, whose death Python reports with a traceback.
    """
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [int(each) for each in children if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]
    except OSError:
        return None


def kill(
    process: subprocess.Popen[bytes], root: Path, victims: Victims, chance: random.Random, latest_s: float
) -> int:
    """Kill at a random moment: after a number of files in the store `new`, then up to ``latest_s`` seconds.

    Files, because the same moment of a run comes later on a busy machine.

    Returns:
        The exit code.

    Raises:
        TimeoutExpired: what is left of the run does not end.
    """
    wanted = chance.uniform(0, _count(root / "store"))
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until and _count(root / "new") < wanted:
        time.sleep(0.01)
    time.sleep(chance.uniform(0, latest_s))
    if process.poll() is None:
        victims(process.pid, chance)
    return ended(process)


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the exit code of a process; after a timeout it is killed with its children.

    Raises:
        TimeoutExpired: it was killed.
    """
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def _count(store: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(store))  # rglob fails on files that vanish


def _artifacts(root: Path, store: str) -> dict[str, dict[str, str]]:
    """Files of each artifact with their hashes; manifests contain times and are left out."""
    found: dict[str, dict[str, str]] = {}
    for name, state in ground.hashes(root, [store]).items():
        _, kind, key, *file = [*name.split("/"), ""]
        if any(file) and state != "folder" and not ground.PASSING.match(kind) and file[0] != "manifest.json":
            found.setdefault(f"{kind}/{key}", {})["/".join(file)] = state
    return found


def _judged(outcome: Outcome, root: Path) -> Outcome:
    """Exit code 3 where the finished store differs from that of an undisturbed run, or has leftovers."""
    errors = (root / "err.txt").read_text(encoding="utf-8", errors="replace")
    if "Traceback" in errors:
        return Outcome(1, outcome.out, errors)
    expected, found = _artifacts(root, "store"), _artifacts(root, "new")
    other = [name for name, files in expected.items() if found.get(name) != files]
    left = [path.name for part in (".tmp", "partial") for path in (root / "new" / part).glob("*")]
    if outcome.code == 0 and (other or left):
        return Outcome(3, outcome.out, f"other artifacts: {other[:5]}, left: {left[:5]}; {errors[-500:]}")
    return outcome


def _killed(
    victims: Victims, seed: int, *, latest_s: float = 1.5, between: Change | None = None
) -> Callable[[Attack, Path], Outcome]:
    """Kill the run several times, with a change between; the same command then finishes."""

    def run(attack: Attack, root: Path) -> Outcome:
        chance = random.Random(seed)
        for _ in range(KILLS):
            if kill(start(attack.call, root), root, victims, chance, latest_s) == 0:
                break
            if between is not None:
                between(root, chance)
        return _judged(call(attack, root, patience_s=PATIENCE_S), root)

    return run


def _flip_a_part(root: Path, chance: random.Random) -> None:
    """Flip a bit of a partial result of the killed run that no finished artifact is linked to."""
    new = root / "new"
    parts = [path for path in sorted((new / "partial").rglob("*")) if path.is_file() and path.stat().st_size]
    unfinished = [path for path in parts if not _finished(new, path.relative_to(new / "partial").parts[0])]
    if unfinished:
        flip(chance.choice(unfinished), chance.random())


def _finished(store: Path, name: str) -> bool:
    return (store / name.replace("-", "/", 1) / "manifest.json").exists()


def killed() -> list[Attack]:
    """Kills of a complete run."""
    ways: dict[str, tuple[Victims, Change | None]] = {
        "all processes killed": (_all, None),
        "the main process killed": (_main, None),
        "a worker killed": (_worker, None),
        "all processes killed and a bit of what was left flipped": (_all, _flip_a_part),
    }
    return [
        Attack(
            kind="killed",
            name=f"{way}, up to {KILLS} times, draw {seed}",
            call=NEW,
            expected=right(),
            run=_killed(victims, seed, between=between),
        )
        for way, (victims, between) in ways.items()
        for seed in range(DRAWS)
    ]


def _damaged(kind: str) -> Callable[[Path], None]:
    """A finished store `new` with a flipped bit in one file."""

    def prepare(root: Path) -> None:
        shutil.copytree(root / "store", root / "new")
        flip(min((root / "new" / kind).rglob(FILES[kind])))

    return prepare


def rebuilt() -> list[Attack]:
    """Kills of a run that rebuilds a damaged artifact: importing libraries is most of its time."""
    return [
        Attack(
            kind="killed",
            name=f"killed while {kind} are made again",
            call=(*NEW, "--force"),
            prepare=_damaged(kind),
            expected=right(),
            run=_killed(_all, seed, latest_s=8),
        )
        for seed, kind in enumerate(FILES)
    ]


def _together(other: Sequence[str], seed: int) -> Callable[[Attack, Path], Outcome]:
    """Another call on the same store at the same time, which is killed; this one finishes."""

    def run(attack: Attack, root: Path) -> Outcome:
        first, second = start(other, root), start(attack.call, root)
        kill(first, root, _all, random.Random(seed), 1.5)
        code = ended(second)
        errors = (root / "err.txt").read_text(encoding="utf-8", errors="replace")
        return _judged(Outcome(code, "", errors) if code else call(attack, root, patience_s=PATIENCE_S), root)

    return run


def together() -> list[Attack]:
    """Two processes on one store, one of them killed; each makes what the other needs."""
    others: dict[str, tuple[Sequence[str], Callable[[Path], object]]] = {
        "the same command": (NEW, nothing),
        "a command that shares models": (
            (*NEW[:5], "--method", "vlcp", *NEW[7:]),
            nothing,
        ),
        "a rebuild": ((*NEW, "--force"), _damaged("weights")),
    }
    return [
        Attack(
            kind="killed",
            name=f"{what} on the same store killed, draw {seed}",
            call=(*NEW, "--force") if what == "a rebuild" else NEW,
            prepare=prepare,
            expected=right(),
            run=_together(other, seed),
        )
        for what, (other, prepare) in others.items()
        for seed in range(DRAWS)
    ]


ATTACKS = [*killed(), *rebuilt(), *together()]
