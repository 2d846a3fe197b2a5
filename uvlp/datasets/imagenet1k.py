"""`imagenet1k`: all 1,000 classes of ILSVRC-2012, read from a local folder.

Evaluated as in VLCP (RDED protocol, ResNet-18, torchvision's teacher):
``uvlp reproduce imagenet1k 10 --data DIR`` with ILSVRC-2012 in DIR.
"""

from __future__ import annotations

from uvlp.datasets.files.imagenet_sets import TERMS, VARIANTS as VARIANTS, IlsvrcSet
from uvlp.recipes.dataset_size import of_ilsvrc
from uvlp.recipes.evaluation import TeacherSettings
from uvlp.recipes.paper import TORCHVISION_RESNET18_PCT, rded_recipe
from uvlp.recipes.schema import Recipe

REVISION = 1
LICENCE = TERMS
SET = IlsvrcSet(name="imagenet1k", source="ILSVRC-2012", counts=(1_281_167, 50_000), strict=True)
EXPECTED = of_ilsvrc(classes=1000, train=SET.counts[0])
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch


TEACHER = TeacherSettings(  # evaluation.md 3.2
    network="resnet18", source="torchvision", published_pct=TORCHVISION_RESNET18_PCT
)


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return rded_recipe(
        "imagenet1k",
        ipc,
        size_px=224,  # evaluation.md 3.1
        factor=2,  # VLCP (evaluation.md 3.1, Q26)
        teacher=TEACHER,
        vlcp_saved_px=224,  # methods.md B.6
    )
