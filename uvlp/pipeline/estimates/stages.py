"""Stages with a cost; that of collecting images and printing a table is negligible."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from uvlp.artifacts.task import Task
from uvlp.pipeline.estimates import computing, distilling, evaluating
from uvlp.pipeline.estimates.cost import Cost, RunContext

STAGES: Mapping[str, Callable[[Task, RunContext], Cost]] = {
    "caption": distilling.caption,
    "encode": distilling.encode,
    "finetune": distilling.finetune,
    "embed": distilling.embed,
    "prototype": distilling.prototype,
    "optimise": computing.computed,
    "sample": computing.computed,
    "synthesise": distilling.synthesise,
    "pixels": evaluating.pixels,
    "represent": evaluating.represent,
    "teacher": evaluating.teacher,
    "evaluate": evaluating.evaluate,
}
