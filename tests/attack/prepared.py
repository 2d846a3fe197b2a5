"""The ground that attacks are copied from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from tests.attack import ground
from tests.attack.ground import Attack


def prepare(folder: Path) -> Path:
    """Make the ground below ``folder``, once for all processes that ask."""
    place = folder / "attack_ground"
    with FileLock(folder / "attack_ground.lock"):
        if not place.exists():
            making = folder / "attack_ground.part"
            shutil.rmtree(making, ignore_errors=True)
            _make(making)
            making.rename(place)
    return place


def _make(place: Path) -> None:
    (place / "mine").mkdir(parents=True)
    (place / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    _draw(place / "images")
    # In a process of its own: who forks attacks imports no torch.
    code = "; ".join(f"tiny_models.{kind}(Path('models/{kind}'))" for kind in ("diffusion", "clip", "llava"))
    models = Attack(kind="", name="", call=(), expected=ground.done())
    python = ("-c", f"from pathlib import Path; from tests import tiny_models; {code}")
    made = ground.call(models, place, python, patience_s=600)
    assert made.code == 0, made
    calls = Attack(kind="", name="", call=(*ground.NANO, "--store", "store"), expected=ground.done())
    outcomes = [ground.call(calls, place, patience_s=600) for _ in range(2)]
    assert outcomes[1].code == 0, outcomes
    (place / "table.md").write_text(outcomes[1].out, encoding="utf-8")
    images = min((place / "store" / "distilled").glob("*/train"))
    shutil.copytree(images, place / "out", ignore=shutil.ignore_patterns("metadata.jsonl"))


def _draw(place: Path) -> None:
    """Three classes of four training and two validation images."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for label, name in enumerate(("cat", "dog", "emu")):
            (place / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 90, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 120
                Image.fromarray(pixels).save(place / split / name / f"{index}.png")
