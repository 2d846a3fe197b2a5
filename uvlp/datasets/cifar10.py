"""`cifar10`: 50,000 training and 10,000 test images of ten classes at 32 px, from the binary archive."""

from __future__ import annotations

from uvlp.blocks.archive import Archive
from uvlp.blocks.binary_images import Layout
from uvlp.blocks.binary_sets import VARIANTS as VARIANTS
from uvlp.blocks.binary_sets import BinarySet

REVISION = 1
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
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch
