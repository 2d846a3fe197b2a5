"""`scores`: one training of one network on one distilled set, scored on the validation images.

A folder that contains only `score.json`; correctness bits are hexadecimal, so reading needs no numpy.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core.errors import wrong_return
from uvlp.core.files import json_files
from uvlp.core.wording import kind_of

KIND = "scores"
SCHEMA = 2
FILE = "score.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The result of one repeat.

    Attributes:
        best_pct: highest validation accuracy of all passes, percent (test-set selected, as published).
        best_epoch: 1-based epoch of that pass, the first one on ties.
        last_pct: validation accuracy after the last epoch, percent.
        top5_best_pct: share of images with the label among the five largest logits at the best pass,
            percent; None with fewer than five classes.
        top5_last_pct: the same at the last pass.
        curve: (epoch, percent) of every validation pass.
        correct_best: at the best pass, one bit per validation image (1: correct), most significant
            bit first, as hexadecimal digits of ``numpy.packbits``.
        correct_last: the same at the last pass.
        validation_set: dataset and variant of the validation images, for tables.
        validation_images: number of validation images.
        train_images: number of images trained on.
        parameters: number of the network's parameters.
    """

    best_pct: float
    best_epoch: int
    last_pct: float
    top5_best_pct: float | None
    top5_last_pct: float | None
    curve: tuple[tuple[int, float], ...]
    correct_best: str
    correct_last: str
    validation_set: str
    validation_images: int
    train_images: int
    parameters: int


def write(folder: Path, score: Score) -> None:
    """Write `score.json` into ``folder``."""
    (folder / FILE).write_text(json.dumps(asdict(score), indent=1) + "\n", encoding="utf-8")


def contradiction(score: Score) -> str:
    """Return how a score contradicts itself; "" if its bits, accuracies and curve agree.

    Top-5 has no bits: it must be a share of the images, not smaller than the accuracy of the same pass,
    present for both passes or neither, and equal for both if the best pass is the last.
    """
    return _against_bits(score) or _against_curve(score)


def check(returned: object, file: str, validation_images: int) -> Score:
    """Check and return what `evaluate` of the protocol in ``file`` returned.

    Raises:
        UvlpError: it is not a score, is for other images, or contradicts itself.
    """
    if not isinstance(returned, Score):
        raise wrong_return(file, "evaluate", "a Score", kind_of(returned))
    if returned.validation_images != validation_images:
        wanted = f"a Score of the {validation_images} validation images"
        raise wrong_return(file, "evaluate", wanted, returned.validation_images)
    try:
        wrong = contradiction(returned)
    except (TypeError, ValueError, LookupError) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        raise wrong_return(file, "evaluate", "a consistent Score", wrong)
    return returned


def _against_bits(score: Score) -> str:
    byte_count = -(-score.validation_images // 8)
    for which, pct, top5_pct, bits in (
        ("best", score.best_pct, score.top5_best_pct, score.correct_best),
        ("last", score.last_pct, score.top5_last_pct, score.correct_last),
    ):
        if len(bits) != 2 * byte_count:
            return f"{which}: {4 * len(bits)} bits for {score.validation_images} images"
        counted = 100 * int(bits, 16).bit_count() / score.validation_images
        if pct != counted:
            return f"{which} {pct:.2f} %, but its bits give {counted:.2f} %"
        if top5_pct is not None and not _can_be(top5_pct, pct, score.validation_images):
            images = score.validation_images
            return f"top-5 {which} {top5_pct:.2f} % is impossible with {pct:.2f} % of {images} images"
    return ""


def _against_curve(score: Score) -> str:
    """Compare best and last pass with the curve; a pass that is both must have one result."""
    highest = max((pct for _, pct in score.curve), default=None)
    first = next((epoch for epoch, pct in score.curve if pct == highest), None)
    if (first, highest) != (score.best_epoch, score.best_pct):
        return f"best {score.best_pct:.2f} % at epoch {score.best_epoch} does not agree with its curve"
    last_epoch, last_pct = score.curve[-1]
    if last_pct != score.last_pct:
        return f"last {score.last_pct:.2f} % does not agree with its curve"
    if (score.top5_best_pct is None) != (score.top5_last_pct is None):
        return "top-5 is present for only one pass"
    best, last = (score.correct_best, score.top5_best_pct), (score.correct_last, score.top5_last_pct)
    return "best and last are the same pass but differ" if first == last_epoch and best != last else ""


def _can_be(top5_pct: float, pct: float, images: int) -> bool:
    """Return whether a top-5 accuracy is a share of the images and not below the accuracy."""
    correct = round(top5_pct * images / 100) if math.isfinite(top5_pct) else 0
    return pct <= top5_pct <= 100 and top5_pct == 100 * correct / images


def read(folder: Path) -> Score:
    """Read `score.json` of ``folder``.

    Raises:
        UvlpError: it is damaged.
        OSError: it cannot be read.
    """
    return json_files.read(Score, folder / FILE)
