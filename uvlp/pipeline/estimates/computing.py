"""Cost of methods that compute images with networks: the passes that they declare."""

from __future__ import annotations

from uvlp.artifacts.task import Task
from uvlp.declarations.method import declared_method
from uvlp.models.published.checks import stylegan_checks
from uvlp.pipeline.estimates import assumptions as assumed, transformers
from uvlp.pipeline.estimates.cost import SINGLE, Cost, RunContext
from uvlp.pipeline.estimates.distilling import PUBLISHED_PX
from uvlp.recipes.schema import Recipe

DECODER, TRANSFORMER, GENERATOR = "vae_decode", "transformer", "stylegan_xl"
"""Names of the VAE's decoder, the DiT and StyleGAN-XL among the passes of a method."""


def computed(task: Task, context: RunContext) -> Cost:
    """Return the cost of passes through networks: the images held in memory, activations, and weights."""
    size, ipc, side_px = context.size, task.facts["ipc"], task.facts["size_px"]
    images = size.classes * ipc
    disk = images * side_px**2 * assumed.PNG_BYTES_PER_PIXEL
    # Methods that make one batch after the other read at most the images of a class at a time.
    held = 3.0 * side_px**2 * size.train if task.stage == "optimise" else 0.0
    if GENERATOR in task.origins:
        # The feature maps that are optimised, and their momentum.
        held += 2.0 * images * stylegan_checks.feature_bytes(getattr(task.settings, "layer", 0))
    # Images, gradient and momentum of the pixels in float32.
    held += 3.0 * 4.0 * 3.0 * side_px**2 * images if task.stage == "optimise" else 0.0
    maps = _activations(task, context)
    flops = _flops(task, context)
    if flops is None:
        return Cost(items=images, unit="images", seconds=None, disk_bytes=disk)
    return Cost(
        items=images,
        unit="images",
        seconds=context.seconds(flops, context.machine.tf32, assumed.NETWORK_SHARE),
        gpu_bytes=context.on_card(held, maps),
        host_bytes=context.on_host(held, maps),
        disk_bytes=disk,
        rests_on=context.rests_on(assumed.NETWORK_SHARE),
    )


def _activations(task: Task, context: RunContext) -> float:
    """Return the bytes of the weights and activations of the networks, as far as the method declares them."""
    held = declared_method(task.plugin).held
    if held is None:
        return 0.0
    total, size, side_px = 0.0, context.size, task.facts["size_px"]
    declared = held(
        task.settings, ipc=task.facts["ipc"], classes=size.classes, images=size.train, size_px=side_px
    )
    for network, count in declared.items():
        counts = assumed.network(network, side_px, getattr(task.settings, "width", 0))
        if counts is not None:
            total += count * counts["kept_bytes"] + 2 * SINGLE * counts["parameters"]
    return total


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
        each = _one_pass(network, task, context)
        if each is None:
            return None
        total += count * each
    return total


def _one_pass(network: str, task: Task, context: RunContext) -> float | None:
    """Return the operations of one image through a network; None if it was not counted.

    StyleGAN-XL is assumed to be the published one for 256 px, whatever the user's.
    """
    recipe = context.recipe
    if network == TRANSFORMER:
        return transformers.of_recipe(recipe, context.size.classes).flops
    if network == GENERATOR:
        return float(assumed.PUBLISHED[GENERATOR])
    if network == DECODER:
        own = transformers.PUBLISHED_PX if "labels" in task.facts else getattr(task.settings, "side_px", 0)
        return _decoder(own or recipe.image_px, recipe)
    costs = assumed.network(network, task.facts["size_px"], getattr(task.settings, "width", 0))
    return None if costs is None else float(costs["flops"])


def _decoder(side_px: int, recipe: Recipe) -> float | None:
    """Return the operations of one decoded image, scaled by area."""
    if recipe.pretrained:
        return float(assumed.PUBLISHED["flops"][DECODER] * (side_px / PUBLISHED_PX) ** 2)
    counts = assumed.small_models(recipe)
    return None if counts is None else float(counts["flops"][DECODER] * (side_px / recipe.image_px) ** 2)
