"""What could be known first is known first: asked of tasks before the first of them is made.

From the recipe, the dataset's manifest, the configurations of published models and what this machine has.
The dry run asks the same. No model library is imported, except for a teacher's checkpoint, whose tensors
only torch can read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.artifacts import features
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.task import Task
from uvlp.core import machine, nvidia, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.method import declared_method, order_of
from uvlp.declarations.protocol import declared_protocol
from uvlp.models.published.checks import model_checks
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes import limits
from uvlp.recipes.schema import Recipe, SynthesisSettings

CPU_HAS_NOT = "float16"
SMALL = ("embedder", "autoencoder", "diffuser")


def check_networks(recipe: Recipe) -> None:
    """Refuse students that the images are too small for, before anything is fetched for them.

    Raises:
        UvlpError: an unknown network, or one that takes no images of the protocol's size.
    """
    protocol = declared_protocol(recipe.protocol)
    for network in recipe.networks:
        protocol.check(protocol.canonical(network), protocol.settings_in(recipe))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What tasks are judged by.

    Attributes:
        recipe: fully resolved.
        manifest: of the dataset, or a stand-in with as many classes.
        cache: of the store, where the dataset's manifest is remembered.
        dataset_here: whether the dataset can be opened; else how many images it has is not certain.
        models_here: whether the published models can be looked at where the tasks say they are.
    """

    recipe: Recipe
    manifest: DatasetManifest
    cache: Path
    dataset_here: bool = True
    models_here: bool = True


def check(ground: Ground, todo: Sequence[Task]) -> None:
    """Refuse tasks of which it is certain that they fail.

    Args:
        ground: what is known.
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
        same = (task.stage, task.plugin, *named, _side_px(ground, task))
        if task.stage in checks and (task.stage != "evaluate" or same not in asked):
            checks[task.stage](ground, task)
        asked.add(same)
        if ground.dataset_here:
            _with_dataset(ground, task)
        if ground.models_here:
            for name, setting, side_px in latent_sides(task):
                model_checks.check_side(Path(task.origins[name]), setting, side_px)


def _refuse_half(precision: str) -> None:
    """A CPU computes in no half precision; whether a GPU has bfloat16 is asked of torch."""
    if precision == CPU_HAS_NOT and not nvidia.usable():
        raise UvlpError("precision on cpu", got=precision, allowed="auto, float32, bfloat16")


def precision_of(task: Task) -> str:
    """The number type that a task asks for, as `models/device.py` reads it; empty: none."""
    if task.stage == "finetune" and task.plugin in SMALL:
        return str(task.settings.precision)
    return str(task.facts.get("precision", ""))


def _caption(ground: Ground, task: Task) -> None:
    if task.plugin != "file" and declared_captioner(task.plugin).model == "llava":
        limits.check_llava(task.settings, gpu=bool(nvidia.usable()))


def _finetune(ground: Ground, task: Task) -> None:
    if task.plugin == "stable-diffusion":
        limits.check_finetuning(task.settings)


def _check_classes(manifest: DatasetManifest, use: str) -> None:
    """Whatever answers one class alone is always right: its accuracy is 100 % and says nothing."""
    if len(manifest.classes) < 2:
        do = "give train/ and val/ a folder for each class; `uvlp synthesise` makes images of one class, too"
        raise UvlpError(f"classes to {use}", got=len(manifest.classes), allowed="2 or more", do=do)


def _represent(ground: Ground, task: Task) -> None:
    protocol = declared_protocol(features.PROTOCOL)
    protocol.check(features.NETWORK, task.settings)
    _check_classes(ground.manifest, "train the network that gives features on")
    if ground.dataset_here:
        classes, images = len(ground.manifest.classes), ground.manifest.count("train")
        protocol.check_images(
            task.settings, features.NETWORK, teacher="", classes=classes, images=images, side_px=0
        )


def _teacher(ground: Ground, task: Task) -> None:
    networks = plugins.load("protocols/training", "rded_networks")
    network, source = task.facts["network"], task.settings.source
    networks.check(network, task.facts["size_px"])
    _check_classes(ground.manifest, "train a teacher on")
    classes = len(ground.manifest.classes)
    networks.check_classes(network, classes)
    if source == "trained":
        return
    if source == "torchvision":
        networks.check_published(network, classes)
    place, size_px = task.origins.get("checkpoint", ""), task.facts["size_px"]
    plugins.load("protocols/training", "checkpoint").check(place, network, classes=classes, size_px=size_px)


def _evaluate(ground: Ground, task: Task) -> None:
    protocol, network = declared_protocol(task.plugin), task.facts["network"]
    protocol.check(network, task.settings)
    _check_classes(ground.manifest, "tell apart")
    classes, ipc = len(ground.manifest.classes), task.facts.get("ipc")
    if ipc is None and not ground.dataset_here:
        return
    images = ground.manifest.count("train") if ipc is None else classes * ipc
    teacher = task.inputs["teacher"].facts["network"] if protocol.teacher else ""
    protocol.check_images(
        task.settings,
        network,
        teacher=teacher,
        classes=classes,
        images=images,
        side_px=_side_px(ground, task),
    )


def _side_px(ground: Ground, task: Task) -> int:
    """Side of the images that a training reads, 0 where only the images tell."""
    made = task.inputs.get("distilled")
    if made is not None and isinstance(made.settings, SynthesisSettings):
        return made.settings.size_px or ground.recipe.image_px
    own = made is not None and made.stage == "synthesise"
    return ground.manifest.image_px if own else 0


def _with_dataset(ground: Ground, task: Task) -> None:
    """What is told by the files of the dataset, which are here."""

    def dataset() -> Any:
        assert task.dataset_spec is not None
        return open_dataset(task.dataset_spec, ground.cache, Progress(), task.dataset)

    if task.stage == "caption" and task.plugin == "file":
        plugins.load("stages", "caption").from_files(task, dataset())
    if task.stage == "prototype" or (task.stage == "synthesise" and "prototypes" not in task.inputs):
        check = declared_method(task.plugin).check
        if check is not None:
            last = dataset().labels("train")[-1] if order_of(task.settings) == "file" else None
            counts = [info.train for info in ground.manifest.classes]
            check(task.settings, task.facts.get("ipc", 0), counts, last)


def latent_sides(task: Task) -> Iterator[tuple[str, str, int]]:
    """Of a task that encodes images by a published autoencoder: its name there, a setting, and their side."""
    if task.stage == "embed" and "autoencoder" in task.origins:
        yield "autoencoder", "image_px", task.facts["image_px"]
    if task.stage == "finetune" and "diffusion" in task.origins:
        yield "diffusion", "finetune.resolution_px", task.settings.resolution_px


def check_precision(todo: Sequence[Task]) -> None:
    """Refuse a number type that this GPU does not compute in; only torch knows.

    Raises:
        UvlpError: it is named, with those that it has.
    """
    for task in todo:
        asked = precision_of(task)
        if asked in ("float16", "bfloat16"):
            resolve = plugins.load("models", "device").resolve
            resolve(asked, machine.device(), training=task.stage == "finetune")
