"""Cost of making images, stage by stage: captions, models, features, prototypes, synthesis.

Memory is that of the weights, the optimiser state, and the counted activations of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from uvlp.artifacts.task import Task
from uvlp.declarations.method import declared_method
from uvlp.pipeline.estimates import assumptions as assumed, transformers
from uvlp.pipeline.estimates.assumptions import PUBLISHED
from uvlp.pipeline.estimates.cost import HALF, SINGLE, Cost, RunContext
from uvlp.recipes.schema import Recipe

CLIP_WIDTH, LATENT_CHANNELS = 768, 4
FLOPS, LIVE, WEIGHTS = (PUBLISHED[name] for name in ("flops", "activation_bytes", "parameters"))
PUBLISHED_PX = 512


def caption(task: Task, context: RunContext) -> Cost:
    """Return the cost of LLaVA in batches; files and attribute captioners take negligible time."""
    images, disk = context.size.train, context.size.train * assumed.CAPTION_BYTES
    if task.plugin != "llava":
        seconds = 0.0 if task.plugin == "file" else images * context.decode_s
        return Cost(items=images, unit="images", seconds=seconds, disk_bytes=disk)
    batch, steps = task.settings.batch, assumed.CAPTION_TOKENS.value
    weights = context.half * WEIGHTS["llava"] / (4 if task.settings.quantise else 1)
    cache = max(LIVE["llava_token"], LIVE["llava_prefill"]) * context.half / HALF
    prefill = context.seconds(
        FLOPS["llava_image"] + FLOPS["llava_prefill"], context.machine.half, assumed.CAPTION_SHARE
    )
    token = context.seconds(FLOPS["llava_token"], context.machine.half, assumed.CAPTION_SHARE)
    if context.machine.gpu:
        read = (weights + batch * LIVE["llava_token"]) / (context.machine.bandwidth or math.inf)
        token = max(assumed.TOKEN_S.value, read) / batch
    return Cost(
        items=images,
        unit="images",
        seconds=images * (prefill + steps * token),
        gpu_bytes=context.on_card(weights, batch * cache),
        batch=batch,
        item_bytes=cache,
        host_bytes=context.on_host(weights, batch * cache),
        disk_bytes=disk,
        rests_on=context.rests_on(assumed.CAPTION_SHARE, assumed.CAPTION_TOKENS, assumed.TOKEN_S),
    )


def finetune(task: Task, context: RunContext) -> Cost:
    """Return the cost of fine-tuning Stable Diffusion, or of training one of the small models."""
    return _stable_diffusion(task, context) if task.plugin == "stable-diffusion" else _small(task, context)


def _stable_diffusion(task: Task, context: RunContext) -> Cost:
    own, images = task.settings, context.size.train
    seen, side = own.epochs * images, own.resolution_px
    kind = "finetune_checkpointed" if own.gradient_checkpointing else "finetune"
    area = (side / PUBLISHED_PX) ** 2
    # A training step costs a fixed multiple of a UNet call, counted at 512 px.
    step = assumed.unet_flops(side // 8) * FLOPS[kind] / PUBLISHED["unet_by_side"]["64"]
    encodings = 0 if own.cache_latents else seen
    train = context.seconds(
        seen * (step + FLOPS["diffusion_text"]), context.machine.half, assumed.FINETUNE_SHARE
    )
    encode = context.seconds(
        encodings * assumed.encode_flops(side), context.machine.half, assumed.ENCODE_SHARE
    )
    kept = PUBLISHED["kept_bytes"][kind] + (
        assumed.RECOMPUTED * PUBLISHED["kept_bytes"]["finetune"] if own.gradient_checkpointing else 0.0
    )
    # Weights, gradients, two moments and the average in float32; on a card also half-precision weights.
    copies = 5 if own.use_ema else 4
    weights = (SINGLE * copies + (HALF if context.machine.gpu else 0)) * WEIGHTS["unet"]
    weights += context.half * (WEIGHTS["vae"] + WEIGHTS["text"])
    batch, each = min(own.batch, images), kept * area * context.half / HALF
    maps = batch * each
    checkpoints = own.checkpoints_total_limit * SINGLE * (copies - 1) * WEIGHTS["unet"]
    return Cost(
        items=seen,
        unit="images in all epochs",
        seconds=train + max(encode, encodings * context.decode_s),
        gpu_bytes=context.on_card(weights, maps),
        batch=batch,
        item_bytes=each,
        host_bytes=context.on_host(weights, maps),
        disk_bytes=SINGLE * (WEIGHTS["unet"] + WEIGHTS["vae"] + WEIGHTS["text"]),
        scratch_bytes=checkpoints,
        rests_on=context.rests_on(
            assumed.FINETUNE_SHARE, *([] if own.cache_latents else [assumed.ENCODE_SHARE])
        ),
    )


def encode(task: Task, context: RunContext) -> Cost:
    """Return the cost of encoding every image, and its mirror image, once for all fine-tunings."""
    images, side = context.size.train, task.facts["size_px"]
    sides = 2 if task.facts["mirrored"] else 1
    seconds = context.seconds(
        images * sides * assumed.encode_flops(side), context.machine.half, assumed.ENCODE_SHARE
    )
    weights, batch = context.half * WEIGHTS["vae"], min(task.facts["batch"], images)
    each = (side / PUBLISHED_PX) ** 2 * LIVE["vae_encode"] * context.half / HALF
    return Cost(
        items=images,
        unit="images",
        seconds=max(seconds, images * context.decode_s),
        gpu_bytes=context.on_card(weights, batch * each),
        batch=batch,
        item_bytes=each,
        host_bytes=context.on_host(weights, batch * each),
        disk_bytes=images * sides * 2 * HALF * LATENT_CHANNELS * (side // 8) ** 2,
        rests_on=context.rests_on(assumed.ENCODE_SHARE, assumed.DECODE_S),
    )


def _small(task: Task, context: RunContext) -> Cost:
    if task.plugin == "transformer":
        return _transformer(task, context)
    if task.plugin == "difffit":
        return _difffit(task, context)
    own, counts = task.settings, assumed.small_models(context.recipe)
    seen = own.steps * own.batch
    if counts is None:
        return Cost(items=seen, unit="images in all steps", seconds=None)
    flops = {
        "embedder": counts["flops"]["clip_image"] + counts["flops"]["clip_text"],
        "autoencoder": counts["flops"]["vae_encode"] + counts["flops"]["vae_decode"],
        "diffuser": counts["flops"]["unet"],
    }[task.plugin]
    weights = SINGLE * 5 * sum(counts["parameters"].values())
    rate = context.machine.tf32 if own.precision == "float32" else context.machine.half
    computing = context.seconds(3 * seen * flops, rate, assumed.SMALL_SHARE)
    starting = own.steps * assumed.STEP_S if context.machine.gpu else 0.0
    return Cost(
        items=seen,
        unit="images in all steps",
        seconds=max(computing, starting),
        gpu_bytes=context.on_card(weights, 0.0),
        disk_bytes=SINGLE * sum(counts["parameters"].values()),
        rests_on=context.rests_on(assumed.SMALL_SHARE),
    )


def _transformer(task: Task, context: RunContext) -> Cost:
    own, shape = task.settings, transformers.of_recipe(context.recipe, context.size.classes)
    seen = own.steps * own.batch
    rate = context.machine.tf32 if own.precision == "float32" else context.machine.half
    computing = context.seconds(3 * seen * shape.flops, rate, assumed.SMALL_SHARE)
    starting = own.steps * assumed.STEP_S if context.machine.gpu else 0.0
    return Cost(
        items=seen,
        unit="images in all steps",
        seconds=max(computing, starting),
        gpu_bytes=context.on_card(SINGLE * 5 * shape.parameters, 0.0),
        disk_bytes=SINGLE * shape.parameters,
        rests_on=context.rests_on(assumed.SMALL_SHARE),
    )


def _difffit(task: Task, context: RunContext) -> Cost:
    own, recipe = task.settings, context.recipe
    shape = transformers.of_recipe(recipe, context.size.classes)
    batch = min(own.batch, context.size.train)
    seen = batch * (own.steps or own.epochs * (context.size.train // batch))
    counts = assumed.small_models(recipe)
    if not recipe.pretrained and counts is None:
        return Cost(items=seen, unit="images in all epochs", seconds=None)
    encode = (
        assumed.encode_flops(transformers.PUBLISHED_PX) if counts is None else counts["flops"]["vae_encode"]
    )
    share = assumed.FINETUNE_SHARE if recipe.pretrained else assumed.SMALL_SHARE
    computing = context.seconds(seen * (3 * shape.flops + encode), context.machine.tf32, share)
    weights = SINGLE * 3 * shape.parameters
    return Cost(
        items=seen,
        unit="images in all epochs",
        seconds=max(computing, seen * context.decode_s),
        gpu_bytes=context.on_card(weights, 0.0),
        host_bytes=context.on_host(weights, 0.0),
        disk_bytes=SINGLE * shape.parameters,
        rests_on=context.rests_on(share),
    )


def embed(task: Task, context: RunContext) -> Cost:
    """Return the cost of CLIP features and VAE moments of images in one pass, or of CLIP text features."""
    images, batch = context.size.train, task.settings.batch
    models = _encoders(context.recipe)
    if models is None:
        return Cost(items=images, unit="images", seconds=None)
    flops, width, latents, item_bytes, live = models
    single = context.machine.tf32 if task.settings.clip_precision == "tf32" else context.machine.single
    if task.plugin == "texts":
        return Cost(
            items=images,
            unit="captions",
            seconds=context.seconds(images * flops["clip_text"], single, assumed.SINGLE_SHARE),
            gpu_bytes=context.on_card(SINGLE * WEIGHTS["clip"], min(batch, images) * 2 * LIVE["clip_text"]),
            batch=min(batch, images),
            item_bytes=2 * LIVE["clip_text"],
            disk_bytes=images * width * SINGLE,
            rests_on=context.rests_on(assumed.SINGLE_SHARE),
        )
    seen = context.seconds(images * flops["clip_image"], single, assumed.SINGLE_SHARE)
    encoded = context.seconds(images * flops["vae_encode"], context.machine.half, assumed.ENCODE_SHARE)
    weights = SINGLE * WEIGHTS["clip"] + context.half * WEIGHTS["vae"] if context.recipe.pretrained else 0
    batch, each = min(batch, images), live * context.half / HALF
    maps = batch * each
    return Cost(
        items=images,
        unit="images",
        seconds=max(seen + encoded, images * context.decode_s),
        gpu_bytes=context.on_card(weights, maps),
        batch=batch,
        item_bytes=each,
        host_bytes=context.on_host(weights, maps),
        disk_bytes=images * (width * SINGLE + 2 * latents * item_bytes),
        rests_on=context.rests_on(assumed.ENCODE_SHARE, assumed.SINGLE_SHARE, assumed.DECODE_S),
    )


def _encoders(recipe: Recipe) -> tuple[Mapping[str, int], int, int, int, int] | None:
    """Return operations, feature width, values of a latent, bytes of each, and live bytes per image."""
    side = recipe.image_px // 8
    if recipe.pretrained:
        area = (recipe.image_px / PUBLISHED_PX) ** 2
        flops = {**FLOPS, "vae_encode": assumed.encode_flops(recipe.image_px)}
        return flops, CLIP_WIDTH, LATENT_CHANNELS * side**2, HALF, int(area * LIVE["vae_encode"])
    counts = assumed.small_models(recipe)
    if counts is None:
        return None
    return counts["flops"], counts["width"], LATENT_CHANNELS * counts["latent_px"] ** 2, SINGLE, 0


def prototype(task: Task, context: RunContext) -> Cost:
    """Return the cost of the operations that the method declares, on one thread of the host."""
    size, ipc = context.size, context.recipe.ipc
    per_class = size.train / size.classes
    models = _encoders(context.recipe)
    if models is None:
        return Cost(items=size.classes, unit="classes", seconds=None)
    _, width, latents, _, _ = models
    operations = declared_method(task.plugin).operations
    if operations is None:
        return Cost(items=size.classes, unit="classes", seconds=None)
    flops = size.classes * operations(per_class, ipc, width, latents)
    rate = context.machine.single * assumed.PROCESSOR_SHARE.value
    host = assumed.HOST_RATE.value if context.machine.gpu else rate
    return Cost(
        items=size.classes,
        unit="classes",
        seconds=flops / host,
        host_bytes=assumed.PROCESS_BYTES + per_class * (latents * 8 * 2),
        disk_bytes=size.classes * ipc * latents * SINGLE,
        rests_on=(assumed.HOST_RATE,) if context.machine.gpu else (assumed.PROCESSOR_SHARE,),
    )


def unet_calls(settings: Any) -> int:
    """Return the number of UNet calls of a synthesis; PNDM needs one more than its steps (methods.md D.3)."""
    return min(int(settings.steps * settings.strength), settings.steps) + (settings.scheduler == "pndm")


def synthesise(task: Task, context: RunContext) -> Cost:
    """Return the cost of synthesis from prototypes, or of copying real images; the full set is not copied."""
    images, own = context.size.classes * context.recipe.ipc, task.settings
    if task.whole_set:
        return Cost(items=context.size.train, unit="images", seconds=0.0)
    if "prototypes" not in task.inputs:
        disk = images * context.size.image_pixels * assumed.PNG_BYTES_PER_PIXEL
        return Cost(items=images, unit="images", seconds=images * context.decode_s, disk_bytes=disk)
    samples = unet_calls(own) * (2 if own.guidance > 1 else 1)
    disk = images * (own.size_px or context.recipe.image_px) ** 2 * assumed.PNG_BYTES_PER_PIXEL
    if not context.recipe.pretrained:
        return _small_synthesis(context, images, samples, disk)
    flops = samples * assumed.unet_flops(context.recipe.image_px // 8) + FLOPS["vae_decode"]
    weights = context.half * (WEIGHTS["unet"] + WEIGHTS["vae"] + WEIGHTS["text"])
    batch = min(own.batch or assumed.SYNTHESIS_BATCH, images)
    each = max(LIVE["unet_pair"], LIVE["vae_decode"]) * context.half / HALF
    maps = batch * each
    return Cost(
        items=images,
        unit="images",
        seconds=context.seconds(images * flops, context.machine.half, assumed.SYNTHESIS_SHARE),
        gpu_bytes=context.on_card(weights, maps),
        batch=batch,
        item_bytes=each,
        host_bytes=context.on_host(weights, maps),
        disk_bytes=disk,
        rests_on=context.rests_on(assumed.SYNTHESIS_SHARE),
    )


def _small_synthesis(context: RunContext, images: int, samples: int, disk: float) -> Cost:
    counts = assumed.small_models(context.recipe)
    if counts is None:
        return Cost(items=images, unit="images", seconds=None, disk_bytes=disk)
    flops = samples * counts["flops"]["unet"] + counts["flops"]["vae_decode"]
    return Cost(
        items=images,
        unit="images",
        seconds=context.seconds(images * flops, context.machine.tf32, assumed.SMALL_SHARE),
        gpu_bytes=context.on_card(0.0, 0.0),
        disk_bytes=disk,
        rests_on=context.rests_on(assumed.SMALL_SHARE),
    )
