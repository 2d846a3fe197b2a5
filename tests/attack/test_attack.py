"""No attack may lose data, give a wrong result silently, crash or hang.

Every second attack of each kind runs with `bash run_scripts/test.sh --long`; all of them with
`python -m tests.attack`, about twenty minutes on two cores.
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


def test_names_of_attacks_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 1400
    assert {attack.kind for attack in HALF} == {attack.kind for attack in ATTACKS} and len(SAMPLE) == 40
