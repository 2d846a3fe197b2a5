"""encode: posteriors of Stable Diffusion's autoencoder for every image, from which all fine-tunings draw.

They are made in parts, which several jobs can share and which survive an interrupted run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uvlp.artifacts import features
from uvlp.artifacts.parts import arrays
from uvlp.artifacts.parts.parts import Parts, Plan
from uvlp.artifacts.work import Work

REVISION = 1


def run(work: Work) -> None:
    """Write part `latents` of `features`, or a share of its rows.

    Raises:
        UvlpError: a wrong side of the images, an unreadable model or image, or a disk that is too small.
    """
    from uvlp.models.device import device_and_dtype
    from uvlp.models.finetuning.latent_cache import BLOCK

    device, dtype = device_and_dtype(work.task.facts["precision"], training=True)
    images, batch = len(work.dataset().files("train")), work.task.facts["batch"]
    parts = work.parts()
    plan = parts.begin(Plan(items=images, batch=batch, size=BLOCK, device=device, dtype=dtype))
    missing = work.missing(parts, plan, "latents")
    if missing:
        _encode(work, parts, plan, missing)
    if work.share.publishes:
        folders = [parts.folder(part.start) for part in plan.parts(work.share)]
        arrays.publish(folders, work.folder, [features.LATENTS])
        work.note(parts.counts())


def _encode(work: Work, parts: Parts, plan: Plan, missing: list[range]) -> None:
    import torch

    from uvlp.core import machine
    from uvlp.models.finetuning.inputs import DECODERS, Pixels
    from uvlp.models.finetuning.latent_cache import check_disk, encoder, fill
    from uvlp.models.finetuning.parts import latent_of, load_vae

    facts, device = work.task.facts, torch.device(machine.device())
    dtype: torch.dtype = getattr(torch, plan.dtype)
    vae = load_vae(Path(work.model_path("autoencoder")), dtype, device)
    sides = 2 if facts["mirrored"] else 1
    check_disk(work.partial, sum(map(len, missing)), sides, latent_of(vae, facts["size_px"]))
    with ThreadPoolExecutor(DECODERS) as pool:
        load = Pixels(work.dataset(), pool, facts["size_px"])
        fill(parts, plan, missing, sides, load, encoder(vae, device, dtype), work.progress)
