"""`cifar10`: 50,000 training and 10,000 test images of ten classes at 32 px, from the binary archive.

Evaluated as in VLCP (RDED protocol, modified ResNet-18): ``uvlp reproduce cifar10 10``. The teacher is
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
    name="cifar10",
    layout=Layout(
        archive=Archive(
            url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            md5="c32a1d4ab5d03f1284b67883e8d87530",  # the dataset's own page
            bytes=170_052_171,
            unpacked_bytes=184_400_000,
            folder="cifar-10-batches-bin",
        ),
        files={
            "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
            "val": ("test_batch.bin",),
        },
        label_bytes=1,
        names_file="batches.meta.txt",
    ),
    counts=(50_000, 10_000),
)
EXPECTED = binary_size(SET, classes=10)
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch


TEACHER = TeacherSettings(network="resnet18_modified", published_pct=93.86)  # evaluation.md 3.2


def recipe(ipc: int) -> Recipe:
    """The recipe at ``ipc`` images per class."""
    return rded_recipe(
        "cifar10",
        ipc,
        size_px=32,  # evaluation.md 3.1
        factor=1,
        teacher=TEACHER,
        vlcp_saved_px=32,  # methods.md B.6
        vlcp={"threshold": 0.3, "contamination": 0.0},  # VLCP's run_cifar10.sh (methods.md B.5, E42)
        finetune=FinetuneSettings(resolution_px=32),  # methods.md B.2, E41
    )
