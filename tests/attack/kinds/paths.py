"""Every option that names a file or folder, with every kind of invalid path (A, D2, E, F)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.attack.ground import EVALUATE, FOLDER, NANO, Attack, Outcome, call, refused

Make = Callable[[Path], object]


@dataclass(frozen=True)
class Bad:
    """An invalid path for an option; `make` creates it in the folder of the attack."""

    text: str | bytes
    make: Make = lambda root: None


def _chain(root: Path) -> None:
    """Forty-one links to links: one more than Linux follows."""
    for number in range(41):
        (root / f"link{number}").symlink_to(f"link{number + 1}")
    (root / "link41").mkdir()


def _socket(root: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(root)  # its name must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
    finally:
        os.chdir(here)


BAD: Mapping[str, Bad] = {
    "empty": Bad(""),
    "blank": Bad(" "),
    "nothing there": Bad("mine/nowhere/at/all"),
    "a pipe": Bad("pipe", lambda root: os.mkfifo(root / "pipe")),
    "a socket": Bad("socket", _socket),
    "a device": Bad("/dev/null"),
    "an endless device": Bad("/dev/zero"),
    "a system file": Bad("/proc/self/mem"),
    "the system's processes": Bad("/proc"),
    "a dangling link": Bad("dangling", lambda root: (root / "dangling").symlink_to("nowhere")),
    "a link to itself": Bad("loop", lambda root: (root / "loop").symlink_to("loop")),
    "too many links": Bad("link0", _chain),
    "a long name": Bad("n" * 300),
    "a long path": Bad("d/" * 3000),
    "a line break": Bad("two\nlines"),
    "no text": Bad(b"\xff\xfe\x80"),
    "nobody's home": Bad("~nobody_of_this_name/x"),
    "below a file": Bad("mine/thesis.txt/x"),
}
FILES: Mapping[str, Bad] = {**BAD, "a folder": Bad("images"), "other words": Bad("mine/thesis.txt")}
FOLDERS: Mapping[str, Bad] = {
    **BAD,
    "a file": Bad("mine/thesis.txt"),
    "an empty folder": Bad("void", lambda root: (root / "void").mkdir()),
}
SD = ("reproduce", "folder:images", "1", "--profile", "sd15", "--offline", "--dry-run", "--store", "new")
HERE = ("--store", "new")


@dataclass(frozen=True)
class Option:
    """An option, the arguments around its value (`None`), and what it accepts."""

    words: tuple[str | None, ...]
    bad: Mapping[str, Bad]
    prefix: str = ""


OPTIONS: Mapping[str, Option] = {
    "folder:": Option((*FOLDER[:1], None, *FOLDER[2:], *HERE), FOLDERS, "folder:"),
    "evaluate PATH": Option(("evaluate", None, *EVALUATE[2:], *HERE), FOLDERS),
    "--data": Option(
        ("reproduce", "imagenette", "1", "--method", "random", "--profile", "nano", "--data", None, *HERE),
        FOLDERS,
    ),
    "captions import": Option(("captions", "import", None, "--dataset", "folder:images", *HERE), FILES),
    "captions check": Option(("captions", "check", None, "--dataset", "folder:images", *HERE), FILES),
    "--questions": Option(
        ("captions", "import", "mine/thesis.txt", "--questions", None, "--dataset", "folder:images", *HERE),
        FILES,
    ),
    "--checkpoint": Option(
        ("teacher", "digits", "conv3", "--profile", "nano", "--checkpoint", None, *HERE), FILES
    ),
    "--finetuned-model": Option((*SD, "--finetuned-model", None), FOLDERS),
    "models.diffusion": Option((*SD, "--set", None), FOLDERS, "models.diffusion="),
    "models.clip": Option((*SD, "--set", None), FOLDERS, "models.clip=local-dir:"),
    "models.llava": Option((*SD, "--set", None), FOLDERS, "models.llava="),
}


def _attack(option: str, form: Option, name: str, bad: Bad) -> Attack:
    value: str | bytes = (
        form.prefix + bad.text if isinstance(bad.text, str) else form.prefix.encode() + bad.text
    )

    def prepare(root: Path) -> None:
        bad.make(root)

    return Attack(
        kind="D2",
        name=f"{option} is {name}",
        call=[value if word is None else word for word in form.words],
        prepare=prepare,
        expected=refused(),
        needs=("images", "out"),
    )


def options() -> list[Attack]:
    """Every option with every invalid path."""
    return [
        _attack(option, form, name, bad) for option, form in OPTIONS.items() for name, bad in form.bad.items()
    ]


def stores() -> list[Attack]:
    """A store that cannot be one; every command that opens it reports this in one line."""
    commands = {
        "reproduce": (*NANO[:3], "--profile", "nano", "--method", "random", "--workers", "1"),
        "list": ("list", "tables"),
    }
    useless = {
        name: bad for name, bad in BAD.items() if name not in ("nothing there", "a line break", "no text")
    }
    useless["a file"] = Bad("mine/thesis.txt")
    found = [
        Attack(
            kind="F",
            name=f"the store of {command} is {name}",
            call=(*words, "--store", bad.text),
            prepare=bad.make,
            expected=refused(),
            needs=(),
        )
        for command, words in commands.items()
        for name, bad in useless.items()
    ]
    found += [
        Attack(
            kind="A",
            name=f"UVLP_STORE is {name}",
            call=commands["list"],
            environment={"UVLP_STORE": bad.text},
            prepare=bad.make,
            expected=refused(),
            needs=(),
        )
        for name, bad in useless.items()
        if isinstance(bad.text, str) and name not in ("empty", "blank")
    ]
    return found


def vanished() -> list[Attack]:
    """The current folder is deleted."""

    def gone(attack: Attack, root: Path) -> Outcome:
        start = "runpy.run_module('uvlp', run_name='__main__', alter_sys=True)"
        code = f"import os, runpy; os.rmdir(os.getcwd()); {start}"
        (root / "mine2").mkdir()
        return call(attack, root / "mine2", python=("-c", code))

    calls = {
        "reproduce": (*NANO, "--store", "store"),
        "list tables": ("list", "tables"),
        "list methods": ("list", "methods"),
        "table": ("table", "digits-ipc2"),
        "folder:": FOLDER,
        "evaluate": EVALUATE,
        "captions check": ("captions", "check", "--dataset", "folder:images"),
        "doctor": ("doctor",),
    }
    return [
        Attack(
            kind="D2",
            name=f"{name} in a folder that is gone",
            call=words,
            run=gone,
            expected=refused("folder no longer exists"),
            needs=(),
        )
        for name, words in calls.items()
    ]


ATTACKS = [*options(), *stores(), *vanished()]
