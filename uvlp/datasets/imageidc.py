"""`imageidc`: the ten ImageNet classes of IDC, read from a local ILSVRC folder.

Evaluated as in VLCP's and UVLP's tables (Minimax protocol, ResNetAP-10):
``uvlp reproduce imageidc 10 --data DIR`` with ILSVRC-2012 in DIR.
"""

from __future__ import annotations

from uvlp.datasets.files.imagenet_sets import TERMS, VARIANTS as VARIANTS, IlsvrcSet
from uvlp.recipes.dataset_size import of_ilsvrc
from uvlp.recipes.paper import minimax_recipe
from uvlp.recipes.schema import Recipe

REVISION = 1
LICENCE = TERMS
SET = IlsvrcSet(name="imageidc", source="ten classes of ILSVRC-2012", counts=(None, 500))
EXPECTED = of_ilsvrc(classes=10)
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe("imageidc", ipc)
