"""imagenette: ten easy classes, as in the tables of VLCP and UVLP (Minimax protocol, ResNetAP-10).

Command: ``uvlp reproduce imagenette 10``. The papers' images may be ILSVRC's (evaluation.md 1.12):
``--variant ilsvrc --data DIR``.
"""

from __future__ import annotations

from uvlp.recipes.paper import minimax_recipe
from uvlp.recipes.schema import Recipe


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe("imagenette", ipc)
