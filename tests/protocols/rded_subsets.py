"""The datasets of the RDED protocol as listed by the reference (evaluation.md 3.1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subset:
    """A dataset of the protocol: classes, validation images per class, input side.

    ``conv_px`` is the side with a deep ConvNet (conv5, conv6) as student or teacher.
    """

    classes: int
    validation_images: int
    size_px: int
    conv_px: int


SUBSETS = {
    "cifar10": Subset(10, 1000, 32, 32),
    "cifar100": Subset(100, 100, 32, 32),
    "tinyimagenet": Subset(200, 50, 64, 64),
    "imagenet-1k": Subset(1000, 50, 224, 224),
    "imagenet-nette": Subset(10, 50, 224, 128),
    "imagenet-woof": Subset(10, 50, 224, 128),
    "imagenet-100": Subset(100, 50, 224, 128),
    **{
        f"imagenet-{name}": Subset(10, 50, 224, 224)
        for name in ("10", "a", "b", "c", "d", "e", "birds", "fruits", "cats")
    },
}


def input_px(subset: str, student: str, teacher: str) -> int:
    """Return the side of the networks' input for a dataset of `SUBSETS`."""
    facts = SUBSETS[subset]
    return facts.conv_px if {"conv5", "conv6"} & {student, teacher} else facts.size_px
