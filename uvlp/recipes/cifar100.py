"""cifar100: a hundred classes at 32 px, as VLCP scores them (RDED protocol, modified ResNet-18).

Command: ``uvlp reproduce cifar100 10``. The teacher is trained first, or taken from a file:
``--set teacher.source=FILE``.
"""

from __future__ import annotations

from uvlp.recipes.paper import rded_recipe
from uvlp.recipes.schema import FinetuneSettings, Recipe, TeacherSettings

TEACHER = TeacherSettings(network="resnet18_modified", published_pct=72.27)  # evaluation.md 3.2


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return rded_recipe(
        "cifar100",
        ipc,
        size_px=32,  # evaluation.md 3.1
        factor=1,
        teacher=TEACHER,
        vlcp_saved_px=32,  # methods.md B.6
        finetune=FinetuneSettings(resolution_px=32),  # methods.md B.2, E41
    )
