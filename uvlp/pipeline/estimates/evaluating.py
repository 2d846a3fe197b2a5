"""What scoring images costs: test networks, their teachers, and the network that features are taken from."""

from __future__ import annotations

from collections.abc import Mapping

from uvlp.artifacts.task import Task
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.estimates import assumptions as assumed
from uvlp.pipeline.estimates.cost import SINGLE, Cost, Place
from uvlp.recipes.workload import Workload

NETWORK_WIDTH = 512
REPRESENTING = "resnet-ap-10"
"""Whose features the coresets of the papers look at."""


def pixels(task: Task, place: Place) -> Cost:
    """The validation images at the networks' size, made once on one core."""
    images = place.known.val
    seconds = images * place.decode_s * place.machine.cores
    disk = images * 3 * task.facts["size_px"] ** 2
    return Cost(items=images, unit="images", seconds=seconds, disk_bytes=disk, rests_on=(assumed.DECODE_S,))


def teacher(task: Task, place: Place) -> Cost:
    """A network trained on the whole set, or one that is read."""
    if task.settings.source != "trained":
        return Cost(items=1, unit="network read", seconds=0.0)
    own = task.settings
    return _training(
        place,
        assumed.network(task.facts["network"], task.facts["size_px"]),
        Workload(epochs=own.epochs, images=place.known.train, batch=own.batch, validations=1),
        held_bytes=_held(place, task.facts["size_px"], place.known.train),
    )


def represent(task: Task, place: Place) -> Cost:
    """A network trained on the whole set by the Minimax protocol, whose features are kept."""
    found = assumed.network(REPRESENTING, task.settings.size_px, task.settings.width)
    load = _workload("minimax", task, place, REPRESENTING, place.known.train, full=True)
    return _training(
        place,
        found,
        load,
        held_bytes=_held(place, task.settings.size_px, place.known.train),
        disk_bytes=SINGLE * NETWORK_WIDTH * place.known.train,
    )


def evaluate(task: Task, place: Place) -> Cost:
    """One training of a test network, with its validation passes."""
    full = "ipc" not in task.facts
    images = place.known.train if full else place.known.classes * task.facts["ipc"]
    network = task.facts["network"]
    load = _workload(task.plugin, task, place, network, images, full)
    found = assumed.network(network, task.settings.size_px, getattr(task.settings, "width", 0))
    teaching = task.inputs.get("teacher")
    name = teaching.facts["network"] if teaching else ""
    return _training(
        place,
        found,
        load,
        held_bytes=_held(place, task.settings.size_px, images),
        teacher=assumed.network(name, task.settings.size_px) if name else None,
    )


def _held(place: Place, size_px: int, images: int) -> int:
    """Bytes of the training and validation images at the network's size, which stay in memory."""
    return 3 * size_px**2 * (images + place.known.val)


def _workload(
    protocol: str, task: Task, place: Place, network: str, images: int, full: bool
) -> Workload | None:
    workload = declared_protocol(protocol).workload
    if workload is None:
        return None
    return workload(
        task.settings,
        network,
        ipc=place.recipe.ipc,
        classes=place.known.classes,
        images=images,
        full=full,
    )


def _training(
    place: Place,
    found: Mapping[str, int] | None,
    load: Workload | None,
    *,
    held_bytes: float,
    teacher: Mapping[str, int] | None = None,
    disk_bytes: float = 0.0,
) -> Cost:
    """A training of three forward passes a step, beside it the teacher's one, and validation passes."""
    if load is None:
        return Cost(items=1, unit="training", seconds=None, disk_bytes=disk_bytes)
    if found is None:
        return Cost(items=load.seen, unit="images in all epochs", seconds=None, disk_bytes=disk_bytes)
    step = 3 * found["flops"] + (teacher["flops"] if teacher else 0)
    train = place.seconds(load.seen * step, place.machine.tf32, assumed.NETWORK_SHARE)
    validate = place.seconds(
        load.validations * place.known.val * found["flops"], place.machine.tf32, assumed.NETWORK_SHARE
    )
    starting = load.steps * assumed.STEP_S if place.machine.gpu else 0.0
    maps = min(load.batch, load.images) * found["kept_bytes"]
    return Cost(
        items=load.seen,
        unit="images in all epochs",
        seconds=max(train, starting) + validate,
        gpu_bytes=place.on_card(SINGLE * 4 * found["parameters"] + held_bytes, maps),
        host_bytes=place.on_host(0.0, maps, held_bytes),
        disk_bytes=disk_bytes,
        rests_on=place.rests_on(assumed.NETWORK_SHARE),
    )
