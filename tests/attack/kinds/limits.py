"""Attacks with requests that are too large or name nothing, which is known before anything is made (D7)."""

from __future__ import annotations

from collections.abc import Mapping

from tests.attack.ground import EVALUATE, FOLDER, NANO, TABLE, Attack, Expected, done, refused, right
from tests.attack.kinds.texts import BASE, RUN

Calls = Mapping[str, tuple[tuple[str, ...], Expected]]
MANY = ",".join(map(str, range(20_000)))
NUMBERS: Calls = {
    "a seed of 2**32": ((*RUN, "--seed", "4294967296", *BASE), refused("seed")),
    "a seed of 2**64": ((*RUN, "--seed", "18446744073709551616", *BASE), refused("seed")),
    "a seed of 2**32 among others": ((*RUN, "--seed", "0,1,4294967296", *BASE), refused("seed")),
    "a hundred million repeats": ((*RUN, "--repeats", "100000000", *BASE), refused("repeats")),
    "20,000 seeds": ((*RUN, "--seed", MANY, *BASE), refused("seed")),
    "a million workers": ((*RUN, "--workers", "1000000", *BASE), refused("--workers")),
    "IPC above every class": (("reproduce", "digits", "1000000", *RUN[3:], *BASE), refused("IPC")),
    "IPC above a folder's classes": ((*FOLDER[:2], "5", *FOLDER[3:], "--store", "new"), refused("IPC")),
    "--rerun of nothing": ((*NANO, "--rerun", "0", "--store", "store"), refused("rerun")),
    "--rerun beyond the repeats": ((*NANO, "--rerun", "99", "--store", "store"), refused("rerun")),
    "--rerun with a word": ((*NANO, "--rerun", "x", "--store", "store"), refused("rerun")),
}
NAMES: Calls = {
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
}
OPTIONS: Calls = {
    "the remark removed": ((*NANO, "--set", "note=", "--store", "store"), refused("note")),
    "the remark replaced": ((*NANO, "--set", "note=all is well", "--store", "store"), right()),
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
ATTACKS = [
    Attack(kind="D7", name=name, call=words, expected=expected, needs=("store", "out", "images"))
    for name, (words, expected) in {**NUMBERS, **NAMES, **OPTIONS}.items()
]
