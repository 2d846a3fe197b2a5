"""Every attack: 0 lost, 0 silently wrong, 0 crashes, 0 hangs (minutes; `bash run_scripts/test.sh --long`)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attack.catalogue import ATTACKS, SAMPLE
from tests.attack.ground import Attack

NAMES = [attack.name for attack in ATTACKS]


@pytest.mark.long
@pytest.mark.parametrize("attack", ATTACKS, ids=NAMES)
def test_attack(attack: Attack, attempt: Any) -> None:
    assert attempt(attack) == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("attack", SAMPLE, ids=[attack.name for attack in SAMPLE])
def test_sample(attack: Attack, attempt: Any) -> None:
    assert attempt(attack) == "ok"


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 1000 and len(SAMPLE) == 40
