"""tiny-imagenet: 200 classes at 64 px, as VLCP scores them (RDED protocol, modified ResNet-18).

Command: ``uvlp reproduce tiny-imagenet 10``. The teacher is trained first, or taken from a file:
``--set teacher.source=FILE``.
"""

from __future__ import annotations

from uvlp.recipes.paper import rded_recipe
from uvlp.recipes.schema import Recipe, TeacherSettings

TEACHER = TeacherSettings(network="resnet18_modified", published_pct=61.98)  # evaluation.md 3.2


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return rded_recipe(
        "tiny-imagenet",
        ipc,
        size_px=64,  # evaluation.md 3.1
        factor=2,  # VLCP; RDED itself has 1 (evaluation.md 3.1, Q26)
        teacher=TEACHER,
        vlcp_saved_px=64,  # methods.md B.6
    )
