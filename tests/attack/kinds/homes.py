"""Attacks with folders of the user's that become a store, contain one, or are next to one (A, B6, D2)."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.attack.ground import EVALUATE, FOLDER, NANO, Attack, Outcome, call, done, refused, right, steps

SHORT = (*NANO[:3], "--profile", "nano", "--method", "random", "--workers", "1")


def _thesis(root: Path) -> None:
    """Files of the user's with names that a store uses."""
    for name in (".tmp/my_thesis", ".locks/keys", "datasets/mine", "scores/mine", "partial/half", "tables/x"):
        (root / "mine" / name).mkdir(parents=True)
        (root / "mine" / name / "chapter.txt").write_text("years", encoding="utf-8")


def _within(attack: Attack, root: Path) -> Outcome:
    return call(attack, root / "mine")


def _moved(root: Path) -> None:
    (root / "elsewhere").mkdir()
    shutil.move(root / "store", root / "elsewhere" / "copy")


MIXED = [
    Attack(
        kind="A",
        name="the store is the current folder, which holds .tmp/my_thesis",
        call=(*SHORT, "--store", "."),
        prepare=_thesis,
        run=_within,
        expected=refused("mixed with other files"),
        needs=(),
    ),
    Attack(
        kind="A",
        name="the store is a folder of the user's",
        call=(*SHORT, "--store", "mine"),
        prepare=_thesis,
        expected=refused("mixed with other files"),
        needs=(),
    ),
    Attack(
        kind="A",
        name="an empty UVLP_STORE in a folder that holds .tmp",
        call=SHORT,
        environment={"UVLP_STORE": ""},
        prepare=_thesis,
        run=_within,
        expected=done("mine/uvlp_store"),
        needs=(),
    ),
    Attack(
        kind="A",
        name="a marked store with a folder of the user's in .tmp",
        call=(*NANO[:2], "3", *SHORT[3:], "--store", "mine"),
        prepare=steps(
            _thesis,
            lambda root: (root / "store" / "uvlp_store.json").rename(root / "mine" / "uvlp_store.json"),
        ),
        expected=done("Random"),
    ),
    Attack(
        kind="A",
        name="the store is the parent of everything",
        call=(*SHORT, "--store", ".."),
        prepare=_thesis,
        run=_within,
        expected=done("Random", "beside other files"),
        needs=(),
    ),
]
WITHIN = [
    Attack(
        kind="B6",
        name="the store lies among the classes",
        call=(*FOLDER, "--store", "images/train/store"),
        prepare=lambda root: (root / "images" / "train" / "store").mkdir(),
        expected=refused("store"),
        needs=("images",),
    ),
    Attack(
        kind="B6",
        name="the store lies in a class",
        call=(*FOLDER, "--store", "images/train/cat/store"),
        expected=refused("store"),
        needs=("images",),
    ),
    Attack(
        kind="B6",
        name="the store is the dataset",
        call=(*FOLDER, "--store", "images"),
        expected=done("Random"),
        needs=("images",),
    ),
    Attack(
        kind="B6",
        name="the store lies in the dataset by a link",
        call=(*FOLDER, "--store", "link/store"),
        prepare=lambda root: (root / "link").symlink_to("images/train/dog"),
        expected=refused("store"),
        needs=("images",),
    ),
    Attack(
        kind="B6",
        name="the store lies in the folder that is scored",
        call=(*EVALUATE, "--store", "out/0/store"),
        expected=refused("store"),
        needs=("out",),
    ),
    Attack(
        kind="B6",
        name="the store holds the folder that is scored",
        call=(*EVALUATE, "--store", ".", "--dry-run"),
        expected=done("beside other files"),
        needs=("out",),
    ),
]
COPIES = [
    Attack(
        kind="A",
        name="a store without a mark, made before there was one",
        call=(*NANO, "--store", "store"),
        prepare=lambda root: (root / "store" / "uvlp_store.json").unlink(),
        expected=right(),
    ),
    Attack(
        kind="A",
        name="a copy of a store elsewhere",
        call=(*NANO, "--store", "elsewhere/copy"),
        prepare=_moved,
        expected=right(),
    ),
]
NAMES = [
    Attack(
        kind="D2",
        name="a new store with a line break in its name",
        call=("list", "tables", "--store", "two\nlines"),
        expected=done(),
        needs=(),
    ),
    Attack(
        kind="D2",
        name="a new store whose name is no text",
        call=("list", "tables", "--store", b"\xff\xfe"),
        expected=refused("UTF-8"),
        needs=(),
    ),
]
ATTACKS = [*MIXED, *WITHIN, *COPIES, *NAMES]
