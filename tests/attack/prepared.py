"""The prepared data of the attacks, made part by part when first needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.attack import ground
from tests.attack.ground import Attack
from uvlp.core.files.leases import lease

MODELS = ("diffusion", "clip", "llava")


def prepare(folder: Path, parts: Iterable[str] = ()) -> Path:
    """Make these parts of the prepared data in ``folder``, each once for all processes.

    Args:
        folder: shared by the processes.
        parts: as in `Attack.needs`; `scored` needs `out`.
    """
    place = folder / "attack_ground"
    with lease.acquire(folder / "attack_ground.lease", lambda _: None):
        for part in PARTS:  # in this order: some need earlier ones
            if part in ("mine", "store", *parts):
                _make(place, part)
    return place


def _make(place: Path, part: str) -> None:
    """Make one part unless it exists; it gets its name when it is complete."""
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
    # In a separate process: the process that starts attacks does not import torch.
    code = "; ".join(f"tiny_models.{kind}(Path('models/{kind}'))" for kind in MODELS)
    python = ("-c", f"from pathlib import Path; from tests import tiny_models; {code}")
    _call(making, (), python)


def _store(making: Path, _: Path) -> None:
    """A finished run of `NANO`, and the output of its second call."""
    arguments = (*ground.NANO, "--store", "store")
    _call(making, arguments)
    (making / "table.md").write_text(_call(making, arguments), encoding="utf-8")


def _out(making: Path, place: Path) -> None:
    images = min((place / "store" / "distilled").glob("*/train"))
    shutil.copytree(images, making / "out", ignore=shutil.ignore_patterns("metadata.jsonl"))


def _scored(making: Path, place: Path) -> None:
    """`out` scored with a teacher, and verified by a second call."""
    arguments = (*ground.RDED, "--store", str(making / "scored"))
    for _ in range(2):
        _call(place, arguments)


PARTS: Mapping[str, Callable[[Path, Path], None]] = {
    "mine": _mine,
    "images": _images,
    "models": _models,
    "store": _store,
    "out": _out,
    "scored": _scored,
}


def _call(root: Path, arguments: tuple[str, ...], python: tuple[str, ...] = ("-m", "uvlp")) -> str:
    """Standard output of a call that must succeed."""
    attack = Attack(kind="", name="", call=arguments, expected=ground.done())
    outcome = ground.call(attack, root, python, patience_s=600)
    assert outcome.code == 0, outcome
    return outcome.out
