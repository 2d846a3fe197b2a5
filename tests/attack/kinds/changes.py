"""Attacks with a dataset that changes while it is read, and with names in two Unicode forms (B1, case 13)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tests.attack import ground
from tests.attack.ground import FOLDER, Attack, Outcome, Prepare, call, done, refused, steps

DRY = (*FOLDER, "--store", "new", "--dry-run")
RUN = (*FOLDER, "--store", "new")


def unicode_forms() -> list[Attack]:
    """One name in two Unicode forms."""

    def rename(split: str, form: Literal["NFC", "NFD"]) -> Prepare:
        return lambda root: (root / "images" / split / "cat").rename(
            root / "images" / split / unicodedata.normalize(form, "café")
        )

    def both(one: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"]) -> Prepare:
        return steps(rename("train", one), rename("val", other))

    def twice(root: Path) -> None:
        both("NFC", "NFC")(root)
        for split in ("train", "val"):
            shutil.copytree(
                root / "images" / split / "dog",
                root / "images" / split / unicodedata.normalize("NFD", "café"),
            )

    return [
        Attack(
            kind="case 13",
            name="composed in train, decomposed in val",
            call=DRY,
            prepare=both("NFC", "NFD"),
            expected=done("Unicode form"),
            needs=("images",),
        ),
        Attack(
            kind="case 13",
            name="decomposed in both",
            call=DRY,
            prepare=both("NFD", "NFD"),
            expected=done(),
            needs=("images",),
        ),
        Attack(
            kind="case 13",
            name="both forms beside each other",
            call=DRY,
            prepare=twice,
            expected=refused("NFC"),
            needs=("images",),
        ),
    ]


def _changing(change: Prepare) -> Callable[[Attack, Path], Outcome]:
    """Change the dataset while a run reads it, and restore it; a later run equals a clean one."""

    def run(attack: Attack, root: Path) -> Outcome:
        saved = root / "saved"
        shutil.copytree(root / "images", saved, symlinks=True)
        process = subprocess.Popen(
            [*ground.PYTHON, "-m", "uvlp", *attack.call],
            cwd=root,
            env=ground.environment(attack),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < ground.PATIENCE_S:
            if any((root / "new" / "datasets").glob("folder-*.json")):
                change(root / "images")
                break
            time.sleep(0.002)
        out, err = process.communicate(timeout=ground.PATIENCE_S)
        first = Outcome(process.returncode, out.decode(), err.decode())
        shutil.rmtree(root / "images")
        saved.rename(root / "images")
        if first.code not in (0, 2) or "Traceback" in first.err:
            return first
        again = call(attack, root)
        clean = call(Attack(kind="", name="", call=[*attack.call[:-1], "clean"], expected=done()), root)
        if again.code == 0 and ground.shown(again.out) != ground.shown(clean.out):
            return Outcome(3, again.out, f"another table than a clean run's: {clean.out}")
        return again

    return run


def changing() -> list[Attack]:
    """A dataset that changes during a run and is restored: no later run prints a different table."""
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)

    def replaced(path: Path) -> None:
        for each in path.rglob("*.png"):
            Image.fromarray(noise).save(each)

    changes: dict[str, Callable[[Path], object]] = {
        "every image is replaced": replaced,
        "one image is replaced": lambda path: Image.fromarray(noise).save(path / "train/cat/0.png"),
        "a validation image is replaced": lambda path: Image.fromarray(noise).save(path / "val/cat/0.png"),
        "one image is deleted": lambda path: (path / "train/cat/0.png").unlink(),
        "a class is deleted": lambda path: shutil.rmtree(path / "train/cat"),
        "all is deleted": steps(
            lambda path: shutil.rmtree(path / "train"), lambda path: shutil.rmtree(path / "val")
        ),
        "an image is added": lambda path: Image.fromarray(noise).save(path / "train/cat/new.png"),
        "an image becomes a pipe": steps(
            lambda path: (path / "val/emu/0.png").unlink(),
            lambda path: os.mkfifo(path / "val/emu/0.png"),
        ),
    }
    return [
        Attack(
            kind="B1",
            name=f"{name} during a run",
            call=RUN,
            expected=done("Random"),
            run=_changing(change),
            needs=("images",),
        )
        for name, change in changes.items()
    ]


ATTACKS = [*unicode_forms(), *changing()]
