"""Closed or full streams, environment variables, locales, signals, full disks (D1, D5, D8, F, case 23)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.attack import ground
from tests.attack.ground import (
    EVALUATE,
    FOLDER,
    NANO,
    TABLE,
    Attack,
    Expected,
    Outcome,
    call,
    done,
    refused,
    right,
    steps,
)

AGAIN = (*NANO, "--store", "store")
SHOW = ("table", TABLE, "--store", "store")
CALLS: Mapping[str, tuple[str, ...]] = {
    "list networks": ("list", "networks"),
    "table": SHOW,
    "a second reproduce": AGAIN,
    "a dry run": (*FOLDER, "--dry-run", "--store", "new"),
    "captions check": (
        "captions",
        "check",
        "mine/captions.jsonl",
        "--dataset",
        "folder:images",
        "--store",
        "new",
    ),
    "captions import": (
        "captions",
        "import",
        "mine/captions.jsonl",
        "--dataset",
        "folder:images",
        "--store",
        "new",
    ),
    "help": ("--help",),
    "JSON": (*AGAIN, "--json"),
    "an error": ("reproduce", "digits", "ten"),
}


def captions(root: Path) -> None:
    """One caption for every image."""
    names = sorted(
        path.relative_to(root / "images/train").as_posix() for path in (root / "images/train").rglob("*.png")
    )
    rows = "".join(f'{{"file_name": "{name}", "text": "a photo"}}\n' for name in names)
    (root / "mine" / "captions.jsonl").write_text(rows, encoding="utf-8")


def _closed_pipe(attack: Attack, root: Path) -> Outcome:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return call(attack, root, stdout=writing)
    finally:
        os.close(writing)


def _full(stream: str) -> Callable[[Attack, Path], Outcome]:
    def run(attack: Attack, root: Path) -> Outcome:
        with open("/dev/full", "wb") as full:
            return call(attack, root, stdout=full) if stream == "stdout" else call(attack, root, stderr=full)

    return run


def _closed(*numbers: int) -> Callable[[Attack, Path], Outcome]:
    """The call with some of its streams closed from the start, as `>&-` does."""

    def run(attack: Attack, root: Path) -> Outcome:
        return call(attack, root, preexec_fn=lambda: list(map(os.close, numbers)))

    return run


def streams() -> list[Attack]:
    """Output that is not read or cannot be written."""
    broken_pipe = 128 + signal.SIGPIPE
    ways: dict[str, tuple[Callable[[Attack, Path], Outcome], Expected]] = {
        "into a closed pipe": (_closed_pipe, Expected(code=broken_pipe)),
        "into a full disk": (_full("stdout"), Expected(code=2)),
        "with its errors into a full disk": (_full("stderr"), done()),
        "with output closed": (_closed(1), refused("standard output is closed")),
        "with errors closed": (_closed(2), done()),
        "with all streams closed": (_closed(0, 1, 2), Expected(code=2)),
    }
    return [
        Attack(
            kind="case 23" if "pipe" in way else "D8",
            name=f"{name} {way}",
            call=words,
            prepare=captions,
            expected=Expected(code=2) if name == "an error" else expected,
            run=run,
            needs=("store", "images"),
        )
        for name, words in CALLS.items()
        for way, (run, expected) in ways.items()
    ]


VARIABLES: Mapping[str, Mapping[str, str | None]] = {
    "LC_ALL=C": {"LC_ALL": "C"},
    "LC_ALL=POSIX without UTF-8 mode": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "a locale that is not there": {"LC_ALL": "xx_XX.ISO-8859-15"},
    "output as ASCII": {"PYTHONIOENCODING": "ascii"},
    "output as Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "output as UTF-16": {"PYTHONIOENCODING": "utf-16"},
    "no home": {"HOME": None},
    "a home that is not there": {"HOME": "/nonexistent"},
    "a temporary folder that is not there": {"TMPDIR": "/nonexistent"},
    "no PATH": {"PATH": None},
    "an empty PATH": {"PATH": ""},
    "no columns": {"COLUMNS": "0"},
    "columns that are no number": {"COLUMNS": "wide"},
    "a dumb terminal": {"TERM": "dumb"},
    "no terminal type": {"TERM": None},
    "threads that are no number": {"OMP_NUM_THREADS": "many"},
    "a GPU that is none": {"CUDA_VISIBLE_DEVICES": "none"},
    "a hub address that is broken": {"HF_ENDPOINT": "not an address"},
    "a hub address without a host": {"HF_ENDPOINT": "http://"},
    "a hub home that is a file": {"HF_HOME": "mine/thesis.txt"},
    "a hub offline switch that is broken": {"HF_HUB_OFFLINE": "maybe"},
    "optimised Python": {"PYTHONOPTIMIZE": "2"},
    "warnings as errors": {"PYTHONWARNINGS": "error"},
    "development mode": {"PYTHONDEVMODE": "1"},
    "hashes in another order": {"PYTHONHASHSEED": "12345"},
    "a clock of another place": {"TZ": "Nowhere/Nothing"},
    "forced colours": {"FORCE_COLOR": "1"},
    "an empty store": {"UVLP_STORE": ""},
    "an empty data folder": {"UVLP_DATA": ""},
    "a data folder that is a file": {"UVLP_DATA": "mine/thesis.txt"},
}


REFUSED = ("a hub address that is broken", "a hub address without a host", "a data folder that is a file")


def _in(name: str) -> Expected:
    return refused() if name in REFUSED else right()


def variables() -> list[Attack]:
    """The second call prints the same table in every environment, or refuses an invalid value."""
    return [
        Attack(
            kind="D5" if "LC" in name or "output" in name else "D8",
            name=f"second call with {name}",
            call=AGAIN,
            environment=values,
            expected=_in(name),
        )
        for name, values in VARIABLES.items()
    ]


def locales() -> list[Attack]:
    """Non-ASCII names in an ASCII locale: the same bytes everywhere."""
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    def named(root: Path) -> None:
        for split in ("train", "val"):
            (root / "images" / split / "cat").rename(root / "images" / split / "café")
        rows = '{"file_name": "café/0.png", "text": "ein Kätzchen auf dem Stuhl 猫"}\n'
        (root / "mine" / "captions.jsonl").write_text(rows, encoding="utf-8")

    calls = {
        "a dry run": (*FOLDER, "--dry-run", "--store", "new"),
        "a whole run": (*FOLDER, "--store", "new"),
        "captions import": (
            "captions",
            "import",
            "mine/captions.jsonl",
            "--dataset",
            "folder:images",
            "--store",
            "new",
        ),
        "captions check": (
            "captions",
            "check",
            "mine/captions.jsonl",
            "--dataset",
            "folder:images",
            "--store",
            "new",
        ),
    }
    return [
        Attack(
            kind="D5",
            name=f"{name} of names beyond ASCII in a plain locale",
            call=words,
            prepare=named,
            environment=plain,
            # One image of many has a caption, which the check reports.
            expected=Expected(code=2 if name == "captions check" else 0),
            needs=("images",),
        )
        for name, words in calls.items()
    ]


FRESH = (*NANO[:2], "3", "--profile", "nano", "--method", "random", "--workers", "1", "--store", "new")


def _stopped(number: signal.Signals, after_s: float, whole: bool) -> Callable[[Attack, Path], Outcome]:
    """Stop the run after a while, then let the same command finish."""

    def run(attack: Attack, root: Path) -> Outcome:
        process = subprocess.Popen(
            [*ground.PYTHON, "-m", "uvlp", *attack.call],
            cwd=root,
            env=ground.environment(attack),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            (os.killpg if whole else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=ground.PATIENCE_S)
        first = Outcome(process.returncode, out.decode(), err.decode())
        if first.code not in (0, 130, -number) or "Traceback" in first.err:
            return first
        if first.code == 130 and "interrupted" not in first.err:
            return Outcome(1, first.out, f"no message: {first.err}")
        return call(attack, root)

    return run


def signals() -> list[Attack]:
    """A run stopped by a signal; the same command finishes."""
    cases = [
        (number, after_s, whole)
        for number, whole in ((signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGKILL, True))
        for after_s in (0.3, 1.0, 3.0)
    ]
    return [
        Attack(
            kind="F",
            name=f"{number.name} after {after_s} s to {'all' if whole else 'one'}",
            call=FRESH,
            expected=done("Random"),
            run=_stopped(number, after_s, whole),
            needs=(),
        )
        for number, after_s, whole in cases
    ]


def _small(root: Path) -> None:
    (root / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(root / "disk")], check=True)


def _on_disk(attack: Attack, root: Path) -> Outcome:
    try:
        return call(attack, root)
    finally:
        subprocess.run(["umount", "-l", str(root / "disk")], check=True)


def disks() -> list[Attack]:
    """A disk that fills up, and a read-only one; mounting needs root, as in CI."""
    if os.geteuid() != 0:
        return []

    def read_only(root: Path) -> None:
        _small(root)
        subprocess.run(["mount", "-o", "remount,ro", str(root / "disk")], check=True)

    def filled(root: Path) -> None:
        _small(root)
        (root / "disk" / "film").write_bytes(bytes(304_000))

    calls = {
        "reproduce": (*FOLDER, "--store", "disk/store"),
        "evaluate": (*EVALUATE, "--store", "disk/store"),
        "captions import": (
            "captions",
            "import",
            "mine/captions.jsonl",
            "--dataset",
            "folder:images",
            "--store",
            "disk/store",
        ),
    }
    return [
        Attack(
            kind="D1",
            name=f"{name} on a disk that is {what}",
            call=words,
            prepare=steps(captions, make),
            expected=refused("store"),
            run=_on_disk,
            needs=("images", "out"),
        )
        for name, words in calls.items()
        for what, make in {"full": filled, "read-only": read_only}.items()
    ]


ATTACKS = [*streams(), *variables(), *locales(), *signals(), *disks()]
