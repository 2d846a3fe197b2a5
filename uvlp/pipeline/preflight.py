"""What could be known first is known first: asked of tasks before the first of them is made.

From the recipe, the dataset's manifest, the configurations of published models and what this machine has.
The dry run asks the same. No model library is imported, except for a teacher's checkpoint, whose tensors
only torch can read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uvlp.artifacts import features
from uvlp.artifacts.dataset import Dataset
from uvlp.artifacts.task import Task
from uvlp.core import machine, nvidia, plugins
from uvlp.core.errors import UvlpError
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.method import declared_method, order_of
from uvlp.declarations.protocol import declared_protocol
from uvlp.models.published.checks import model_checks
from uvlp.pipeline.prepare import Plan
from uvlp.pipeline.transfers import latent_sides
from uvlp.recipes import limits
from uvlp.recipes.precision import resolve_dtype
from uvlp.recipes.schema import SynthesisSettings

CPU_HAS_NOT = "float16"
SMALL = ("embedder", "autoencoder", "diffuser")


def check(plan: Plan, todo: Sequence[Task]) -> None:
    """Refuse tasks of which it is certain that they fail.

    Args:
        plan: what is known; the less of the dataset and the published models is here, the less is asked.
            A stand-in for a dataset has as many classes, but not as many images in each.
        todo: the tasks that are to be made.

    Raises:
        UvlpError: what no task of the run could work with.
    """
    checks = {
        "caption": _caption,
        "finetune": _finetune,
        "represent": _represent,
        "teacher": _teacher,
        "evaluate": _evaluate,
    }
    asked: set[tuple[object, ...]] = set()
    for task in todo:
        _refuse_half(precision_of(task))
        # Hundreds of trainings differ in seed and repeat alone.
        named = (task.facts.get("network"), task.facts.get("ipc"))
        same = (task.stage, task.plugin, *named, _side_px(plan, task))
        if task.stage in checks and (task.stage != "evaluate" or same not in asked):
            checks[task.stage](plan, task)
        asked.add(same)
        if plan.dataset is not None:
            _with_dataset(plan.dataset, task)
        if plan.complete:
            for name, setting, side_px in latent_sides(task):
                model_checks.check_side(Path(task.origins[name]), setting, side_px)


def _refuse_half(precision: str) -> None:
    """A CPU computes in no half precision; whether a GPU has bfloat16 is asked of torch."""
    if precision == CPU_HAS_NOT and not nvidia.visible_gpus():
        raise UvlpError("precision on cpu", got=precision, allowed="auto, float32, bfloat16")


def precision_of(task: Task) -> str:
    """The dtype that a task asks for, as `models/device.py` reads it; empty: none."""
    if task.stage == "finetune" and task.plugin in SMALL:
        return str(task.settings.precision)
    return str(task.facts.get("precision", ""))


def _caption(plan: Plan, task: Task) -> None:
    if task.plugin != "file" and declared_captioner(task.plugin).model == "llava":
        limits.check_llava(task.settings, gpu=bool(nvidia.visible_gpus()))


def _finetune(plan: Plan, task: Task) -> None:
    if task.plugin == "stable-diffusion":
        limits.check_finetuning(task.settings)


def _check_classes(plan: Plan, use: str) -> None:
    """Whatever answers one class alone is always right: its accuracy is 100 % and says nothing."""
    classes = len(plan.manifest.classes)
    if plan.size is not None and classes < 2:
        fix = "give train/ and val/ a folder for each class; `uvlp synthesise` makes images of one class, too"
        raise UvlpError(f"classes to {use}", got=classes, allowed="2 or more", fix=fix)


def _represent(plan: Plan, task: Task) -> None:
    protocol = declared_protocol(features.PROTOCOL)
    protocol.check(features.NETWORK, task.settings)
    _check_classes(plan, "train the network that gives features on")
    if plan.dataset is not None:
        classes, images = len(plan.manifest.classes), plan.manifest.count("train")
        protocol.check_images(
            task.settings, features.NETWORK, teacher="", classes=classes, images=images, side_px=0
        )


def _teacher(plan: Plan, task: Task) -> None:
    _check_classes(plan, "train a teacher on")
    classes = len(plan.manifest.classes) if plan.size is not None else None
    plugins.load("stages", task.stage).check(task, classes)


def _evaluate(plan: Plan, task: Task) -> None:
    protocol, network = declared_protocol(task.plugin), task.facts["network"]
    protocol.check(network, task.settings)
    _check_classes(plan, "tell apart")
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
    """Side of the images that a training reads, 0 where only the images show it."""
    made = task.inputs.get("distilled")
    if made is not None and isinstance(made.settings, SynthesisSettings):
        return made.settings.size_px or plan.recipe.image_px
    own = made is not None and made.stage == "synthesise"
    return plan.manifest.image_px if own else 0


def _with_dataset(dataset: Dataset, task: Task) -> None:
    """What the files of the dataset show, which is here."""
    if task.stage == "caption" and task.plugin == "file":
        plugins.load("stages", task.stage).from_files(task, dataset)
    if task.stage == "prototype" or (task.stage == "synthesise" and "prototypes" not in task.inputs):
        check = declared_method(task.plugin).check
        if check is not None:
            last = dataset.labels("train")[-1] if order_of(task.settings) == "file" else None
            counts = [info.train for info in dataset.manifest.classes]
            check(task.settings, task.facts.get("ipc", 0), counts, last)


def check_precision(todo: Sequence[Task]) -> None:
    """Refuse a dtype that this GPU does not compute in; only torch knows.

    Raises:
        UvlpError: it is named, with those that it has.
    """
    for task in todo:
        asked = precision_of(task)
        if asked in ("float16", "bfloat16"):
            resolve_dtype(asked, machine.device(), training=task.stage == "finetune")
