"""imageidc: the ten classes that IDC chose, as in VLCP's and UVLP's tables (Minimax protocol, ResNetAP-10).

Command: ``uvlp reproduce imageidc 10 --data DIR`` with ILSVRC-2012 in DIR.
"""

from __future__ import annotations

from uvlp.recipes.paper import minimax_recipe
from uvlp.recipes.schema import Recipe


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe("imageidc", ipc)
