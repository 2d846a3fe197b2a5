"""`cifar100`: 50,000 training and 10,000 test images of 100 classes at 32 px, from the binary archive.

Evaluated as in VLCP (RDED protocol, modified ResNet-18): ``uvlp reproduce cifar100 10``. The teacher is
trained first, or taken from a file: ``--set teacher.source=FILE``.
"""

from __future__ import annotations

from uvlp.datasets.files.archive import Archive
from uvlp.datasets.files.binary_images import VARIANTS as VARIANTS, BinarySet, Layout, binary_size
from uvlp.recipes.evaluation import TeacherSettings
from uvlp.recipes.paper import rded_recipe
from uvlp.recipes.schema import FinetuneSettings, Recipe

REVISION = 1
LICENCE = "no licence stated; cite Krizhevsky 2009"
SET = BinarySet(
    name="cifar100",
    layout=Layout(
        archive=Archive(
            url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            md5="03b5dce01913d631647c71ecec9e9cb8",  # the dataset's own page
            bytes=168_513_733,
            unpacked_bytes=184_500_000,
            folder="cifar-100-binary",
        ),
        files={"train": ("train.bin",), "val": ("test.bin",)},
        label_bytes=2,  # coarse, fine
        names_file="fine_label_names.txt",
    ),
    counts=(50_000, 10_000),
)
EXPECTED = binary_size(SET, classes=100)
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch


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
