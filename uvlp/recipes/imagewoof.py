"""imagewoof: ten breeds of dogs, as in UVLP's table (Minimax protocol, three networks).

Command: ``uvlp reproduce imagewoof 10``. UVLP's runs had two terriers' names exchanged (methods.md E5):
``--variant published-names``.
"""

from __future__ import annotations

from uvlp.recipes.paper import METHODS, minimax_recipe
from uvlp.recipes.schema import Recipe

NETWORKS = ("convnet-6", "resnet-ap-10", "resnet-18")  # evaluation.md 1.1


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return minimax_recipe(
        "imagewoof",
        ipc,
        methods=("full", "k-center", "herding", *METHODS),
        networks=NETWORKS,
        # The authors' file names 8,687 of 9,025 images; the other 338 have none (methods.md A.2, E10).
        missing_captions="empty",
    )
