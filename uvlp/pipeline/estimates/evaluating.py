"""Cost of scoring images: test networks, their teachers, and the network that computes features."""

from __future__ import annotations

from collections.abc import Mapping

from uvlp.artifacts.task import Task
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.estimates import assumptions as assumed
from uvlp.pipeline.estimates.cost import SINGLE, Cost, RunContext
from uvlp.recipes.workload import Workload

NETWORK_WIDTH = 512
REPRESENTING = "resnet-ap-10"
"""The network whose features the papers' coresets use."""


def pixels(task: Task, context: RunContext) -> Cost:
    """Return the cost of resizing the validation images, done once on one core."""
    images = context.size.val
    seconds = images * context.decode_s * context.machine.cores
    disk = images * 3 * task.facts["size_px"] ** 2
    return Cost(items=images, unit="images", seconds=seconds, disk_bytes=disk, rests_on=(assumed.DECODE_S,))


def teacher(task: Task, context: RunContext) -> Cost:
    """Return the cost of a teacher that is trained on the full set, or read."""
    if task.settings.source != "trained":
        return Cost(items=1, unit="network read", seconds=0.0)
    own = task.settings
    return _training(
        context,
        assumed.network(task.facts["network"], task.facts["size_px"]),
        Workload(epochs=own.epochs, images=context.size.train, batch=own.batch, validations=1),
        image_bytes=_image_bytes(context, task.facts["size_px"], context.size.train),
    )


def represent(task: Task, context: RunContext) -> Cost:
    """Return the cost of a network trained on the full set by the Minimax protocol for its features."""
    counts = assumed.network(REPRESENTING, task.settings.size_px, task.settings.width)
    load = _workload("minimax", task, context, REPRESENTING, context.size.train, full=True)
    return _training(
        context,
        counts,
        load,
        image_bytes=_image_bytes(context, task.settings.size_px, context.size.train),
        disk_bytes=SINGLE * NETWORK_WIDTH * context.size.train,
    )


def evaluate(task: Task, context: RunContext) -> Cost:
    """Return the cost of one training of a test network with its validation passes."""
    images = context.size.train if task.whole_set else context.size.classes * task.facts["ipc"]
    network = task.facts["network"]
    load = _workload(task.plugin, task, context, network, images, full=task.whole_set)
    counts = assumed.network(network, task.settings.size_px, getattr(task.settings, "width", 0))
    teacher_task = task.inputs.get("teacher")
    name = teacher_task.facts["network"] if teacher_task else ""
    return _training(
        context,
        counts,
        load,
        image_bytes=_image_bytes(context, task.settings.size_px, images),
        teacher=assumed.network(name, task.settings.size_px) if name else None,
    )


def _image_bytes(context: RunContext, size_px: int, images: int) -> int:
    """Return the bytes of training and validation images at the network's size, kept in memory."""
    return 3 * size_px**2 * (images + context.size.val)


def _workload(
    protocol: str, task: Task, context: RunContext, network: str, images: int, full: bool
) -> Workload | None:
    workload = declared_protocol(protocol).workload
    if workload is None:
        return None
    return workload(
        task.settings,
        network,
        ipc=context.recipe.ipc,
        classes=context.size.classes,
        images=images,
        full=full,
    )


def _training(
    context: RunContext,
    counts: Mapping[str, int] | None,
    load: Workload | None,
    *,
    image_bytes: float,
    teacher: Mapping[str, int] | None = None,
    disk_bytes: float = 0.0,
) -> Cost:
    """Return the cost of a training and validation: a step is three forward passes and one of the teacher."""
    if load is None:
        return Cost(items=1, unit="training", seconds=None, disk_bytes=disk_bytes)
    if counts is None:
        return Cost(items=load.seen, unit="images in all epochs", seconds=None, disk_bytes=disk_bytes)
    step = 3 * counts["flops"] + (teacher["flops"] if teacher else 0)
    train = context.seconds(load.seen * step, context.machine.tf32, assumed.NETWORK_SHARE)
    validate = context.seconds(
        load.validations * context.size.val * counts["flops"], context.machine.tf32, assumed.NETWORK_SHARE
    )
    starting = load.steps * assumed.STEP_S if context.machine.gpu else 0.0
    maps = min(load.batch, load.images) * counts["kept_bytes"]
    return Cost(
        items=load.seen,
        unit="images in all epochs",
        seconds=max(train, starting) + validate,
        gpu_bytes=context.on_card(SINGLE * 4 * counts["parameters"] + image_bytes, maps),
        host_bytes=context.on_host(0.0, maps, image_bytes),
        disk_bytes=disk_bytes,
        rests_on=context.rests_on(assumed.NETWORK_SHARE),
    )
