"""Full: the entire training set, the upper bound in tables. Its images are not copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvlp.core.progress import Progress
    from uvlp.methods.algorithms.method_input import MethodInput

REVISION = 1
TITLE = "Full"
WHOLE_SET = True
"""The result refers to the dataset and does not depend on IPC or seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`full` has no settings."""


def select(inputs: MethodInput, settings: Settings, progress: Progress) -> list[list[int]]:
    """All training rows, one list per class in index order."""
    return [list(data.rows) for data in progress.track(inputs.classes)]
