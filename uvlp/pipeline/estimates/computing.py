"""Cost of methods that compute images with networks: the passes that they declare."""

from __future__ import annotations

from uvlp.artifacts.task import Task
from uvlp.declarations.method import declared_method
from uvlp.pipeline.estimates import assumptions as assumed
from uvlp.pipeline.estimates.cost import Cost, RunContext


def computed(task: Task, context: RunContext) -> Cost:
    """Return the cost of passes through networks; methods that optimise hold the real images in memory."""
    size, ipc, side_px = context.size, task.facts["ipc"], task.facts["size_px"]
    images = size.classes * ipc
    disk = images * side_px**2 * assumed.PNG_BYTES_PER_PIXEL
    # Methods that make one batch after the other read at most the images of a class at a time.
    held = 3.0 * side_px**2 * size.train if task.stage == "optimise" else 0.0
    flops = _flops(task, context)
    if flops is None:
        return Cost(items=images, unit="images", seconds=None, disk_bytes=disk)
    return Cost(
        items=images,
        unit="images",
        seconds=context.seconds(flops, context.machine.tf32, assumed.NETWORK_SHARE),
        gpu_bytes=context.on_card(held, 0.0),
        host_bytes=context.on_host(held, 0.0),
        disk_bytes=disk,
        rests_on=context.rests_on(assumed.NETWORK_SHARE),
    )


def _flops(task: Task, context: RunContext) -> float | None:
    """Return the operations of all passes; None if the method declares none or a network was not counted."""
    passes = declared_method(task.plugin).passes
    if passes is None:
        return None
    size, side_px = context.size, task.facts["size_px"]
    counted = passes(
        task.settings, ipc=task.facts["ipc"], classes=size.classes, images=size.train, size_px=side_px
    )
    total = 0.0
    for network, count in counted.items():
        costs = assumed.network(network, side_px, getattr(task.settings, "width", 0))
        if costs is None:
            return None
        total += count * costs["flops"]
    return total
