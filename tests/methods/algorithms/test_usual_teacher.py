"""The teacher of methods that read one: the published observers, or a chosen architecture."""

from __future__ import annotations

import pytest

from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.usual_teacher import teacher_of


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [(16, "conv3"), (32, "conv3"), (64, "conv4"), (128, "conv5"), (224, "resnet18"), (256, "resnet18")],
)
def test_the_usual_teacher_is_a_published_observer(size_px: int, expected: str) -> None:
    assert teacher_of("", size_px) == expected


def test_a_chosen_teacher_has_its_published_name() -> None:
    assert teacher_of("convnet-4", 32) == "conv4"
    with pytest.raises(UvlpError) as caught:
        teacher_of("resnet9", 32)
    assert caught.value.got == "resnet9" and "resnet18" in str(caught.value.allowed)
