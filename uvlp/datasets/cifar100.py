"""`cifar100`: 50,000 training and 10,000 test images of 100 classes at 32 px, from the binary archive."""

from __future__ import annotations

from uvlp.blocks.archive import Archive
from uvlp.blocks.binary_images import Layout
from uvlp.blocks.binary_sets import VARIANTS as VARIANTS
from uvlp.blocks.binary_sets import BinarySet

REVISION = 1
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
open_dataset, download, fetch = SET.open_dataset, SET.download, SET.fetch
