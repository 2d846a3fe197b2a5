"""All attacks, the half that is marked long, and the sample that continuous integration makes."""

from __future__ import annotations

from tests.attack.ground import Attack
from tests.attack.kinds import (
    archives,
    captions,
    changes,
    flips,
    forgeries,
    homes,
    images,
    limits,
    memories,
    mixtures,
    models,
    paths,
    stores,
    surroundings,
    tables,
    texts,
)

ATTACKS: list[Attack] = [
    *(*stores.ATTACKS, *forgeries.ATTACKS, *tables.ATTACKS, *memories.ATTACKS, *mixtures.ATTACKS),
    *flips.ATTACKS,
    *(*paths.ATTACKS, *homes.ATTACKS, *texts.ATTACKS, *limits.ATTACKS),
    *(*surroundings.ATTACKS, *images.ATTACKS, *changes.ATTACKS, *captions.ATTACKS),
    *(*models.ATTACKS, *archives.ATTACKS),
]
HALF = [
    attack
    for kind in sorted({each.kind for each in ATTACKS})
    for attack in [each for each in ATTACKS if each.kind == kind][::2]
]
"""Every second one of each kind."""
_QUICK = [attack for attack in ATTACKS if attack.run is None and "--force" not in attack.call]
SAMPLE = _QUICK[:: len(_QUICK) // 40][:40]
"""None of them trains anything, so that they take seconds."""
