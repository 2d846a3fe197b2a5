"""The ground that attacks are copied from, made part by part when the first attack needs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from tests.attack import ground
from tests.attack.ground import Attack

MODELS = ("diffusion", "clip", "llava")


def prepare(folder: Path, parts: Iterable[str] = ()) -> Path:
    """Make these parts of the ground below ``folder``, each once for all processes that ask.

    Args:
        folder: where every process that shares the ground looks.
        parts: as in `Attack.needs`; who needs `scored` needs `out`.
    """
    place = folder / "attack_ground"
    with FileLock(folder / "attack_ground.lock"):
        for part in PARTS:  # in this order: some are made from those before
            if part in ("mine", "store", *parts):
                _make(place, part)
    return place


def _make(place: Path, part: str) -> None:
    """One part, unless it is there, below a name that shows it is whole."""
    if (place / part).exists():
        return
    making = place / "making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    PARTS[part](making, place)
    for made in sorted(making.iterdir(), key=lambda path: path.name == part):
        made.rename(place / made.name)


def _mine(making: Path, _: Path) -> None:
    (making / "mine").mkdir()
    (making / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")


def _images(making: Path, _: Path) -> None:
    """Three classes of four training and two validation images."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for label, name in enumerate(("cat", "dog", "emu")):
            (making / "images" / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 90, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 120
                Image.fromarray(pixels).save(making / "images" / split / name / f"{index}.png")


def _models(making: Path, _: Path) -> None:
    # In a process of its own: who forks attacks imports no torch.
    code = "; ".join(f"tiny_models.{kind}(Path('models/{kind}'))" for kind in MODELS)
    python = ("-c", f"from pathlib import Path; from tests import tiny_models; {code}")
    _call(making, (), python)


def _store(making: Path, _: Path) -> None:
    """A finished run of `NANO`, and what its second call printed."""
    words = (*ground.NANO, "--store", "store")
    _call(making, words)
    (making / "table.md").write_text(_call(making, words), encoding="utf-8")


def _out(making: Path, place: Path) -> None:
    images = min((place / "store" / "distilled").glob("*/train"))
    shutil.copytree(images, making / "out", ignore=shutil.ignore_patterns("metadata.jsonl"))


def _scored(making: Path, place: Path) -> None:
    """`out` scored with a teacher, and found whole by a second call."""
    words = (*ground.RDED, "--store", str(making / "scored"))
    for _ in range(2):
        _call(place, words)


PARTS: Mapping[str, Callable[[Path, Path], None]] = {
    "mine": _mine,
    "images": _images,
    "models": _models,
    "store": _store,
    "out": _out,
    "scored": _scored,
}


def _call(root: Path, words: tuple[str, ...], python: tuple[str, ...] = ("-m", "uvlp")) -> str:
    """Standard output of a call that must succeed."""
    attack = Attack(kind="", name="", call=words, expected=ground.done())
    outcome = ground.call(attack, root, python, patience_s=600)
    assert outcome.code == 0, outcome
    return outcome.out
