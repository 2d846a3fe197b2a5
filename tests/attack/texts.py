"""Every option that takes words or numbers, with hostile ones; requests beyond limits (B7, D7, D8, F)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.attack.ground import (
    EVALUATE,
    FOLDER,
    NANO,
    TABLE,
    Attack,
    Expected,
    done,
    refused,
    right,
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
    """Words where names are expected."""
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
    """What is no number, or no number that can be."""
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
    """Settings that are none, and values that none can have."""
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


def limits() -> list[Attack]:
    """Requests that are known to be too large before anything is made."""
    many = ",".join(map(str, range(20_000)))
    calls: dict[str, tuple[tuple[str, ...], Expected]] = {
        "a seed of 2**32": ((*RUN, "--seed", "4294967296", *BASE), refused("seed")),
        "a seed of 2**64": ((*RUN, "--seed", "18446744073709551616", *BASE), refused("seed")),
        "a seed of 2**32 among others": ((*RUN, "--seed", "0,1,4294967296", *BASE), refused("seed")),
        "a hundred million repeats": ((*RUN, "--repeats", "100000000", *BASE), refused("repeats")),
        "20,000 seeds": ((*RUN, "--seed", many, *BASE), refused("seed")),
        "a million workers": ((*RUN, "--workers", "1000000", *BASE), refused("--workers")),
        "IPC above every class": (("reproduce", "digits", "1000000", *RUN[3:], *BASE), refused("IPC")),
        "IPC above a folder's classes": ((*FOLDER[:2], "5", *FOLDER[3:], "--store", "new"), refused("IPC")),
        "--rerun of nothing": ((*NANO, "--rerun", "0", "--store", "store"), refused("rerun")),
        "--rerun beyond the repeats": ((*NANO, "--rerun", "99", "--store", "store"), refused("rerun")),
        "--rerun with a word": ((*NANO, "--rerun", "x", "--store", "store"), refused("rerun")),
        "one method named a thousand times": (
            ("reproduce", "digits", "2", "--method", ",".join(["random"] * 1000), *BASE),
            done(),
        ),
        "commas alone": (("reproduce", "digits", "2", "--method", ",,,", *BASE), refused("methods")),
        "a variant of a variant": (
            ("reproduce", "digits", "2", "--method", "uvlp:no-outliers:no-outliers", *BASE),
            refused(),
        ),
        "a variant alone": (("reproduce", "digits", "2", "--method", ":no-outliers", *BASE), refused()),
        "a folder dataset alone": (("reproduce", "folder:", "2", *BASE), refused("folder")),
        "a colon behind digits": (("reproduce", "digits:x", "2", *BASE), refused("digits")),
        "a list of networks with an unknown one": (
            (*RUN, "--network", "convnet-3,convnet-x", *BASE),
            refused("convnet"),
        ),
        "a network of no depth": ((*RUN, "--network", "convnet-0", *BASE), refused("convnet")),
        "a network of a million": ((*RUN, "--network", "convnet-1000000", *BASE), refused("convnet")),
        "a network too deep": ((*RUN, "--network", "convnet-9", *BASE[:-1]), refused("convnet-9")),
        "a norm that is none": ((*RUN, "--set", "evaluate.norm=none", *BASE[:-1]), refused("norm")),
        "the remark removed": ((*NANO, "--set", "note=", "--store", "store"), refused("note")),
        "the remark replaced": (
            (*NANO, "--set", "note=all is well", "--store", "store"),
            right(),
        ),
        "no arguments": ((), Expected(code=2)),
        "an option without its value": ((*RUN, "--seed"), refused("--seed")),
        "an option twice": (
            (*RUN, "--profile", "nano", "--profile", "tiny", "--store", "new", "--dry-run"),
            done("profile tiny"),
        ),
        "two folders of one name": (
            ("evaluate", "out", "out", *EVALUATE[2:], "--store", "new", "--dry-run"),
            done("4 x 40 images"),
        ),
        "a seed named twice": ((*RUN, "--seed", "0,0,0", *BASE), done()),
        "fetch with an unknown variant": (
            ("fetch", "imagenette", "--variant", "x", "--store", "new"),
            refused("x"),
        ),
        "against a method that is not there": (
            ("table", TABLE, "--against", "uvlp", "--store", "store"),
            refused("uvlp"),
        ),
    }
    return [
        Attack(kind="D7", name=name, call=words, expected=expected, needs=("store", "out", "images"))
        for name, (words, expected) in calls.items()
    ]


ATTACKS = [*words(), *counts(), *settings(), *limits()]
