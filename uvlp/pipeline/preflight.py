"""What could be known first is known first: asked of tasks before the first of them is made.

From the recipe, the dataset's manifest, the configurations of published models and what this machine has.
The dry run asks the same. No model library is imported, except for a teacher's checkpoint, whose tensors
only torch can read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import open_dataset
from uvlp.core import nvidia, plugins
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.published.checks import model_checks
from uvlp.pipeline.contenders import resolve_method
from uvlp.recipes import limits
from uvlp.recipes.schema import Recipe, SynthesisSettings

CPU_HAS_NOT = "float16"
SMALL = ("embedder", "autoencoder", "diffuser")


def check_networks(recipe: Recipe) -> None:
    """Refuse students that the images are too small for, before anything is fetched for them.

    Raises:
        UvlpError: an unknown network, or one that takes no images of the protocol's size.
    """
    protocol = plugins.load("protocols", recipe.protocol)
    for network in recipe.networks:
        protocol.check(protocol.canonical(network), getattr(recipe, protocol.SETTINGS))


def check_models(recipe: Recipe, parts: Collection[str]) -> None:
    """Refuse what this machine lacks for the published models that are about to be fetched.

    Args:
        parts: of the models.

    Raises:
        UvlpError: a setting that no run could use here.
    """
    if not parts:
        return
    _refuse_half(recipe.models.precision)
    if "llava" in parts:
        limits.check_llava(recipe.caption, gpu=bool(nvidia.usable()))
    methods = [resolve_method(spec, recipe.method) for spec in recipe.methods]
    trained = any(method.synthesis is not None and method.module.FINETUNED for method in methods)
    if "diffusion" in parts and trained and not recipe.models.finetuned:
        limits.check_finetuning(recipe.finetune)


def check(recipe: Recipe, manifest: DatasetManifest | None, todo: Sequence[Task], cache: Path) -> None:
    """Refuse tasks of which it is certain that they fail.

    Args:
        recipe: fully resolved.
        manifest: the dataset's; None where the dataset is not here, nor the published models.
        todo: the tasks that are to be made.
        cache: of the store, where the dataset's manifest is remembered.

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
        same = (task.stage, task.plugin, *named, _side_px(recipe, manifest, task))
        if task.stage in checks and (task.stage != "evaluate" or same not in asked):
            checks[task.stage](recipe, manifest, task)
        asked.add(same)
        if manifest is not None:
            _with_dataset(manifest, task, cache)


def _refuse_half(precision: str) -> None:
    """A CPU computes in no half precision; whether a GPU has bfloat16 is asked of torch in `make.py`."""
    if precision == CPU_HAS_NOT and not nvidia.usable():
        raise UvlpError("precision on cpu", got=precision, allowed="auto, float32, bfloat16")


def precision_of(task: Task) -> str:
    """The number type that a task asks for, as `models/device.py` reads it; empty: none."""
    if task.stage == "finetune" and task.plugin in SMALL:
        return str(task.settings.precision)
    return str(task.facts.get("precision", ""))


def _caption(recipe: Recipe, manifest: DatasetManifest | None, task: Task) -> None:
    if task.plugin == "llava":
        limits.check_llava(task.settings, gpu=bool(nvidia.usable()))


def _finetune(recipe: Recipe, manifest: DatasetManifest | None, task: Task) -> None:
    if task.plugin == "stable-diffusion":
        limits.check_finetuning(task.settings)


def _check_classes(manifest: DatasetManifest, use: str) -> None:
    """Whatever answers one class alone is always right: its accuracy is 100 % and says nothing."""
    if len(manifest.classes) < 2:
        do = "give train/ and val/ a folder for each class; `uvlp synthesise` makes images of one class, too"
        raise UvlpError(f"classes to {use}", got=len(manifest.classes), allowed="2 or more", do=do)


def _represent(recipe: Recipe, manifest: DatasetManifest | None, task: Task) -> None:
    stage = plugins.load("stages", "represent")
    protocol = plugins.load("protocols", stage.PROTOCOL)
    protocol.check(stage.NETWORK, task.settings)
    if manifest is not None:
        _check_classes(manifest, "train the network that gives features on")
        classes, images = len(manifest.classes), manifest.count("train")
        protocol.check_images(
            task.settings, stage.NETWORK, teacher="", classes=classes, images=images, side_px=0
        )


def _teacher(recipe: Recipe, manifest: DatasetManifest | None, task: Task) -> None:
    networks = plugins.load("protocols/training", "rded_networks")
    network, source = task.facts["network"], task.settings.source
    networks.check(network, task.facts["size_px"])
    if manifest is None:
        return
    _check_classes(manifest, "train a teacher on")
    classes = len(manifest.classes)
    networks.check_classes(network, classes)
    if source == "trained":
        return
    if source == "torchvision":
        networks.check_published(network, classes)
    place, size_px = task.origins.get("checkpoint", ""), task.facts["size_px"]
    plugins.load("protocols/training", "checkpoint").check(place, network, classes=classes, size_px=size_px)


def _evaluate(recipe: Recipe, manifest: DatasetManifest | None, task: Task) -> None:
    protocol, network = plugins.load("protocols", str(task.plugin)), task.facts["network"]
    protocol.check(network, task.settings)
    if manifest is None:
        return
    _check_classes(manifest, "tell apart")
    classes, ipc = len(manifest.classes), task.facts.get("ipc")
    images = manifest.count("train") if ipc is None else classes * ipc
    teacher = task.inputs["teacher"].facts["network"] if protocol.TEACHER else ""
    protocol.check_images(
        task.settings,
        network,
        teacher=teacher,
        classes=classes,
        images=images,
        side_px=_side_px(recipe, manifest, task),
    )


def _side_px(recipe: Recipe, manifest: DatasetManifest | None, task: Task) -> int:
    """Side of the images that a training reads, 0 where only the images tell."""
    made = task.inputs.get("distilled")
    if made is not None and isinstance(made.settings, SynthesisSettings):
        return made.settings.size_px or recipe.image_px
    own = made is not None and made.stage == "synthesise"
    return manifest.image_px if own and manifest is not None else 0


def _with_dataset(manifest: DatasetManifest, task: Task, cache: Path) -> None:
    """What is told by the files of the dataset and of the published models, which are here."""

    def dataset() -> Any:
        assert task.dataset_spec is not None
        return open_dataset(task.dataset_spec, cache, Progress(), task.dataset)

    if task.stage == "caption" and task.plugin == "file":
        plugins.load("stages", "caption").from_files(task, dataset())
    if task.stage == "prototype":
        method = plugins.load("methods", str(task.plugin))
        if hasattr(method, "check"):
            last = dataset().labels("train")[-1] if task.settings.order == "file" else None
            counts = [info.train for info in manifest.classes]
            method.check(task.settings, task.facts["ipc"], counts, last)
    if "models" not in task.facts:
        return
    if task.stage == "embed" and "autoencoder" in task.origins:
        model_checks.check_side(Path(task.origins["autoencoder"]), "image_px", task.facts["image_px"])
    if task.stage == "finetune":
        side = task.settings.resolution_px
        model_checks.check_side(Path(task.origins["diffusion"]), "finetune.resolution_px", side)
