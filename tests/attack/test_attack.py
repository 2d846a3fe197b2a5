"""0 lost, 0 silently wrong, 0 crashes, 0 hangs.

Every second attack of each kind by `bash run_scripts/test.sh --long`; all of them by
`python -m tests.attack`, which took about twenty minutes on two busy cores.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.attack.catalogue import ATTACKS, HALF, SAMPLE
from tests.attack.ground import Attack

NAMES = [attack.name for attack in ATTACKS]


@pytest.mark.long
@pytest.mark.parametrize("attack", HALF, ids=[attack.name for attack in HALF])
def test_attack(attack: Attack, attempt: Any) -> None:
    assert attempt(attack) == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("attack", SAMPLE, ids=[attack.name for attack in SAMPLE])
def test_sample(attack: Attack, attempt: Any) -> None:
    assert attempt(attack) == "ok"


def test_every_attack_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 1400
    assert {attack.kind for attack in HALF} == {attack.kind for attack in ATTACKS} and len(SAMPLE) == 40
