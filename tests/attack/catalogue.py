"""All attacks, the half marked long, and the sample that continuous integration runs."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.attack.ground import Attack

KINDS = sorted(path.stem for path in (Path(__file__).parent / "kinds").glob("*.py"))
ATTACKS: list[Attack] = [
    attack for name in KINDS for attack in importlib.import_module(f"tests.attack.kinds.{name}").ATTACKS
]
"""The attacks of every file in `kinds`."""
HALF = [
    attack
    for kind in sorted({each.kind for each in ATTACKS})
    for attack in [each for each in ATTACKS if each.kind == kind][::2]
]
"""Every second one of each kind."""
_QUICK = [attack for attack in ATTACKS if attack.run is None and not {"--force", "--rerun"} & {*attack.call}]
SAMPLE = _QUICK[:: len(_QUICK) // 40][:40]
"""Attacks without training, which take seconds."""
