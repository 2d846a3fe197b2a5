"""Every option that takes text or numbers, with hostile values (B7, D7, D8)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.attack.ground import (
    EVALUATE,
    TABLE,
    Attack,
    Expected,
    done,
    refused,
)

HOSTILE: Mapping[str, str | bytes] = {
    "empty": "",
    "a path": "../../../etc/passwd",
    "long": "a" * 20_000,
    "a line break": "a\nb",
    "brackets": "{0}%s[1]",
    "markup": "<script>alert(1)</script>**",
    "no text": b"\xff\xfe",
    "an escape": "\x1b[31mred",
    "another script": "数据集",
}
NUMBERS: Mapping[str, str] = {
    "nothing": "",
    "a word": "ten",
    "a fraction": "1.5",
    "a power": "1e3",
    "hexadecimal": "0x10",
    "grouped": "1_0",
    "not a number": "nan",
    "infinite": "inf",
    "zero": "0",
    "blank": " ",
    "beyond all": "9" * 30,
    "of many digits": "9" * 5000,
    "twice signed": "+-1",
}
BASE = ("--profile", "nano", "--store", "new", "--dry-run")
RUN = ("reproduce", "digits", "2", "--method", "random")
WORDS: Mapping[str, tuple[str | None, ...]] = {
    "the dataset": ("reproduce", None, "2", *BASE),
    "--method": ("reproduce", "digits", "2", "--method", None, *BASE),
    "--network": (*RUN, "--network", None, *BASE),
    "--profile": (*RUN, "--profile", None, "--store", "new", "--dry-run"),
    "--protocol": (*RUN, "--protocol", None, *BASE),
    "--variant": ("reproduce", "imagenette", "1", "--variant", None, *BASE),
    "--set": (*RUN, "--set", None, *BASE),
    "--missing-captions": (*RUN, "--missing-captions", None, *BASE),
    "--select": (*EVALUATE[:4], "--select", None, *BASE),
    "evaluate --dataset": ("evaluate", "out", "--dataset", None, *BASE),
    "list": ("list", None, "--store", "new"),
    "table": ("table", None, "--store", "store"),
    "--format": ("table", TABLE, "--format", None, "--store", "store"),
    "--against": ("table", TABLE, "--against", None, "--store", "store"),
    "fetch": ("fetch", None, "--store", "new"),
    "teacher": ("teacher", "digits", None, *BASE),
    "captions --dataset": ("captions", "check", "--dataset", None, "--store", "new"),
    "a command": (None, "digits", "10"),
    "an option": ("list", "methods", None),
}
COUNTS: Mapping[str, tuple[str | None, ...]] = {
    "IPC": ("reproduce", "digits", None, "--method", "random", *BASE),
    "--repeats": (*RUN, "--repeats", None, *BASE),
    "--seed": (*RUN, "--seed", None, *BASE),
    "evaluate --ipc": (*EVALUATE[:4], "--ipc", None, *BASE),
    "--workers": (*RUN, "--workers", None, *BASE),
    "--alpha": ("reproduce", "digits", "2", "--method", "uvlp", "--alpha", None, *BASE),
    "evaluate.epochs": (*RUN, "--set", "evaluate.epochs=", *BASE),
    "evaluate.batch": (*RUN, "--set", "evaluate.batch=", *BASE),
    "uvlp.top_k": ("reproduce", "digits", "2", "--method", "uvlp", "--set", "uvlp.top_k=", *BASE),
    "caption.max_new_tokens": (*RUN, "--set", "caption.max_new_tokens=", *BASE),
}
RIGHT = {
    ("--seed", "zero"),
    ("--alpha", "zero"),
    ("evaluate.epochs", "zero"),
    ("uvlp.top_k", "zero"),
}


def _put(words: tuple[str | None, ...], value: str | bytes) -> list[str | bytes]:
    found: list[str | bytes] = [value if word is None else word for word in words]
    return [
        f"{word}{value}" if isinstance(word, str) and isinstance(value, str) and word.endswith("=") else word
        for word in found
    ]


def _expected(pair: tuple[str, str]) -> Expected:
    return done() if pair in RIGHT else refused()


def words() -> list[Attack]:
    """Text where names are expected."""
    return [
        Attack(
            kind="D8",
            name=f"{option}: {name}",
            call=_put(form, value),
            expected=_expected((option, name)),
            needs=("store", "out") if option in ("table", "--format", "--against") else ("out",),
        )
        for option, form in WORDS.items()
        for name, value in HOSTILE.items()
        if option in ("the dataset", "--method", "--set", "table")
        or name in ("empty", "a line break", "no text", "long")
    ]


def counts() -> list[Attack]:
    """Not a number, or an impossible one."""
    return [
        Attack(
            kind="D7",
            name=f"{option}: {name}",
            call=_put(form, value),
            expected=_expected((option, name)),
            needs=("out",),
        )
        for option, form in COUNTS.items()
        for name, value in NUMBERS.items()
        if option in ("IPC", "--seed", "--repeats", "--workers")
        or name in ("a word", "not a number", "infinite", "beyond all", "zero", "blank")
    ]


SETTINGS = {
    "method=x": ("method",),
    "method={}": ("method",),
    "evaluate=x": ("evaluate",),
    "evaluate.=1": (),
    ".=1": (),
    "=": (),
    "==": (),
    "evaluate.lr=1=2": (),
    "evaluate.lr": (),
    "evaluate.lr=": (),
    "evaluate.lr.x=1": (),
    "uvlp.synthesis=x": (),
    "uvlp.synthesis.x.y=1": (),
    "protocol_notes=": (),
    "pretrained=true": (),
    "profile=sd15": ("--profile",),
    "dataset=cifar10": (),
    "name=x": (),
    "caption.missing=x": (),
    "finetune.steps=-1": (),
    "evaluate.flip=2": (),
    "evaluate.size_px=100000": (),
    "evaluate.width=99999999": (),
    "image_px=99999999": (),
    "seeds=4294967296": (),
    "embedder.steps=99999999999999": (),
    "diffuser.channels=": (),
    "diffuser.channels=a,b": (),
    "uvlp.clusters=nan": (),
}


def settings() -> list[Attack]:
    """Unknown settings, and invalid values."""
    return [
        Attack(
            kind="B7" if "note" in text else "D8",
            name=f"--set {text[:40]!r}",
            call=("reproduce", "digits", "2", "--method", "random,uvlp", "--set", text, *BASE),
            expected=refused(*words),
            needs=(),
        )
        for text, words in SETTINGS.items()
    ]


ATTACKS = [*words(), *counts(), *settings()]
