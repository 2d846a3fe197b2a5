"""Checks of all tasks before the first one starts, so that errors are found early.

They use the recipe, the dataset's manifest, the configurations of published models and facts about this
machine. The dry run makes the same checks. No model library is imported, except to read the tensors of a
teacher's checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from uvlp.artifacts import features, weights
from uvlp.artifacts.dataset import Dataset
from uvlp.artifacts.task import Task
from uvlp.core import machine, nvidia, plugins
from uvlp.core.errors import UvlpError
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.method import declared_method, order_of
from uvlp.declarations.protocol import declared_protocol
from uvlp.models.published.checks import model_checks
from uvlp.pipeline.downloads.transfers import latent_sides
from uvlp.pipeline.planning.imagenet_labels import check_labels
from uvlp.pipeline.prepare import Plan
from uvlp.recipes import limits
from uvlp.recipes.precision import resolve_dtype
from uvlp.recipes.schema import SynthesisSettings

GPU_ONLY_DTYPE = "float16"
TRAINING = ("encode", "finetune")
"""Stages that compute in the dtype of a fine-tuning."""


def check(plan: Plan, todo: Sequence[Task], *, remote: bool = False) -> None:
    """Refuse tasks that are certain to fail.

    Args:
        plan: the plan; fewer checks are made if the dataset or published models are missing. The placeholder
            of a dataset has the right number of classes, but not of images in each.
        todo: the tasks to run.
        remote: whether another machine runs them, which is assumed to have a GPU.

    Raises:
        UvlpError: a task cannot succeed with these settings or inputs.
    """
    gpu = remote or bool(nvidia.visible_gpus())
    checks: dict[str, Callable[[Plan, Task], None]] = {
        "caption": partial(_caption, gpu=gpu),
        "finetune": _finetune,
        "represent": _represent,
        "teacher": _teacher,
        "evaluate": _evaluate,
    }
    checked: set[tuple[object, ...]] = set()
    for task in todo:
        _refuse_half(precision_of(task), gpu)
        # Hundreds of trainings differ only in seed and repeat.
        named = (task.facts.get("network"), task.facts.get("ipc"))
        same = (task.stage, task.plugin, *named, _side_px(plan, task))
        if task.stage in checks and (task.stage != "evaluate" or same not in checked):
            checks[task.stage](plan, task)
        checked.add(same)
        if plan.dataset is not None:
            _with_dataset(plan.dataset, task)
        if plan.complete:
            for name, setting, side_px in latent_sides(task):
                model_checks.check_side(Path(task.origins[name]), setting, side_px)
            _models(task)


def _models(task: Task) -> None:
    """Let a method check the published models that it reads."""
    if task.stage not in ("optimise", "sample") or not task.origins:
        return
    check = declared_method(task.plugin).check_models
    if check is not None:
        check(task.settings, {name: Path(folder) for name, folder in task.origins.items()})


def _refuse_half(precision: str, gpu: bool) -> None:
    """Refuse float16 on a CPU; torch knows whether a GPU supports bfloat16."""
    if precision == GPU_ONLY_DTYPE and not gpu:
        raise UvlpError("unsupported precision on cpu", got=precision, allowed="auto, float32, bfloat16")


def precision_of(task: Task) -> str:
    """Return the dtype that a task requests, in the terms of `models/device.py`; empty: none."""
    if task.stage == "finetune" and task.plugin in weights.FILES:
        return str(task.settings.precision)
    return str(task.facts.get("precision", ""))


def _caption(plan: Plan, task: Task, gpu: bool) -> None:
    if task.plugin != "file" and declared_captioner(task.plugin).model == "llava":
        limits.check_llava(task.settings, gpu=gpu)


def _finetune(plan: Plan, task: Task) -> None:
    if task.plugin == "stable-diffusion":
        limits.check_finetuning(task.settings)
    if task.plugin == "transformer":
        limits.check_transformer(plan.recipe)


def _check_classes(plan: Plan, use: str) -> None:
    """Refuse datasets with one class, where every accuracy is a meaningless 100 %."""
    classes = len(plan.manifest.classes)
    if plan.size is not None and classes < 2:
        fix = "give train/ and val/ a folder per class; `uvlp synthesise` also works with one class"
        raise UvlpError(f"too few classes to {use}", got=classes, allowed="2 or more", fix=fix)


def _represent(plan: Plan, task: Task) -> None:
    protocol = declared_protocol(features.PROTOCOL)
    protocol.check(features.NETWORK, task.settings)
    _check_classes(plan, "train the feature network")
    if plan.dataset is not None:
        classes, images = len(plan.manifest.classes), plan.manifest.count("train")
        protocol.check_images(
            task.settings, features.NETWORK, teacher="", classes=classes, images=images, side_px=0
        )


def _teacher(plan: Plan, task: Task) -> None:
    _check_classes(plan, "train a teacher")
    classes = len(plan.manifest.classes) if plan.size is not None else None
    plugins.load("stages", task.stage).check(task, classes)


def _evaluate(plan: Plan, task: Task) -> None:
    protocol, network = declared_protocol(task.plugin), task.facts["network"]
    protocol.check(network, task.settings)
    _check_classes(plan, "classify")
    if plan.size is None or (task.whole_set and plan.dataset is None):
        return
    classes = len(plan.manifest.classes)
    images = plan.manifest.count("train") if task.whole_set else classes * task.facts["ipc"]
    teacher = task.inputs["teacher"].facts["network"] if protocol.teacher else ""
    protocol.check_images(
        task.settings,
        network,
        teacher=teacher,
        classes=classes,
        images=images,
        side_px=_side_px(plan, task),
    )


def _side_px(plan: Plan, task: Task) -> int:
    """Return the side of the images of a training; 0 if it is only known from the images."""
    distilled = task.inputs.get("distilled")
    if distilled is None or distilled.stage == "collect":
        return 0
    if isinstance(distilled.settings, SynthesisSettings):
        return distilled.settings.size_px or plan.recipe.image_px
    return int(distilled.facts.get("size_px", plan.manifest.image_px))


def _with_dataset(dataset: Dataset, task: Task) -> None:
    """Make the checks that need the files of the dataset."""
    check_labels(task, dataset.manifest)
    if task.stage == "caption" and task.plugin == "file":
        plugins.load("stages", task.stage).from_files(task, dataset)
    own = ("prototype", "optimise", "sample")
    if task.stage in own or (task.stage == "synthesise" and "prototypes" not in task.inputs):
        check = declared_method(task.plugin).check
        if check is not None:
            last = dataset.labels("train")[-1] if order_of(task.settings) == "file" else None
            counts = [info.train for info in dataset.manifest.classes]
            check(task.settings, task.facts.get("ipc", 0), counts, last)


def check_card(todo: Sequence[Task]) -> None:
    """Refuse tasks that this machine's processor or GPU cannot compute; a worker calls it before it starts.

    Raises:
        UvlpError: names the dtype and the supported ones.
    """
    for task in todo:
        _refuse_half(precision_of(task), bool(nvidia.visible_gpus()))
    check_precision(todo)


def check_precision(todo: Sequence[Task]) -> None:
    """Refuse a dtype that this GPU does not support, as reported by torch.

    Raises:
        UvlpError: names the dtype and the supported ones.
    """
    for task in todo:
        precision = precision_of(task)
        if precision in ("float16", "bfloat16"):
            resolve_dtype(precision, machine.device(), training=task.stage in TRAINING)
