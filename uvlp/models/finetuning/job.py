"""Fine-tune the UNet of Stable Diffusion on captioned images, on one GPU, several or a CPU (methods.md B.2).

On several GPUs, `accelerate launch` runs this file as a module in one process per GPU.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from uvlp.artifacts import captions
from uvlp.artifacts.dataset import Dataset, DatasetSpec, check_content
from uvlp.core import machine, plugins
from uvlp.core.progress import Progress
from uvlp.core.scheduling import meeting
from uvlp.datasets.staging import staged
from uvlp.models.device import dtype_name, torch_dtype
from uvlp.models.finetuning import (
    launch,
    output,
)
from uvlp.models.finetuning.checkpoints import PICTURES
from uvlp.models.finetuning.data import updates_per_epoch
from uvlp.models.finetuning.inputs import DECODERS, Pixels
from uvlp.models.finetuning.latent_cache import Stored
from uvlp.models.finetuning.loop import Inputs, Training, too_little_memory
from uvlp.models.finetuning.parts import check_base, load_parts
from uvlp.recipes.limits import check_finetuning
from uvlp.recipes.schema import FinetuneSettings

REVISION = 1
PATIENCE = timedelta(hours=2)
"""Maximum wait of a process while the main one writes a checkpoint or draws pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One fine-tuning, serialisable to JSON.

    Attributes:
        base: folder of the pipeline; `source` is its name for reports, `base_sha256` its digest.
        captions: folder of the captions.
        dataset: how to open it; its manifests are cached in ``cache``.
        dataset_sha256: its content hash; empty to skip the check.
        seed: all randomness is derived from it.
        precision: argument of `device.torch_dtype`.
        folder: of the output.
        latents: folder of the latents of the images; empty to encode them in every epoch.
        partial: folder for checkpoints, kept after an interruption.
    """

    base: str
    source: str
    base_sha256: str
    captions: str
    dataset: DatasetSpec
    dataset_sha256: str
    cache: str
    settings: FinetuneSettings
    seed: int
    precision: str
    latents: str
    folder: str
    partial: str

    def to_json(self) -> str:
        """Serialise the job to JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Parse the output of `to_json`."""
        values = json.loads(text)
        settings = values["settings"]
        settings["validation_prompts"] = tuple(settings["validation_prompts"])
        values["settings"] = FinetuneSettings(**settings)
        values["dataset"] = DatasetSpec(**values["dataset"])
        return cls(**values)


def run(job: Job, progress: Progress, cards: Sequence[str] = ()) -> None:
    """Write the fine-tuned pipeline to ``job.folder``.

    Args:
        job: the fine-tuning.
        progress: receives reports.
        cards: GPUs as CUDA names them, one process for each; one is the only one that this process sees.
            Empty: all visible ones. Other machines of the job use as many.

    Raises:
        UvlpError: the model, the captions or the settings are wrong, or memory or disk are too small.
        WorkerFailed: a process failed for a reason that the user did not cause.
    """
    check_finetuning(job.settings)
    count = len(cards) or torch.cuda.device_count()
    if meeting.machines() > 1:
        launch.launch(job.to_json(), Path(job.partial), max(1, count), progress, cpu=not count, cards=cards)
    elif count > 1:
        launch.launch(job.to_json(), Path(job.partial), count, progress, cards=cards)
    else:
        train(job, progress)


def train(job: Job, progress: Progress) -> None:
    """Run one process of the job."""
    from accelerate.state import AcceleratorState, GradientState

    partial = Path(job.partial)
    device = machine.device()
    dtype = torch_dtype(job.precision, device, training=True)
    files = check_base(Path(job.base))
    accelerator = make_accelerator(dtype, device)
    progress = progress if accelerator.is_main_process else Progress()
    if device == "cpu":
        progress.log("no GPU: fine-tuning on the CPU, which takes weeks at full size")
    try:
        with ThreadPoolExecutor(DECODERS) as pool:
            training = _prepare(job, dtype, accelerator, pool, progress)
            training.run(partial, lambda epoch: _pictures(job, training, epoch))
        if accelerator.is_main_process:
            _write(job, training, files)
        accelerator.wait_for_everyone()
        accelerator.end_training()
    except torch.OutOfMemoryError as error:
        raise too_little_memory() from error
    finally:
        # accelerate's state is global; the next task of this process may use another precision.
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def make_accelerator(dtype: torch.dtype, device: str) -> Any:
    """Return accelerate's Accelerator for this process."""
    from accelerate import Accelerator, InitProcessGroupKwargs

    names = {torch.float32: "no", torch.float16: "fp16", torch.bfloat16: "bf16"}
    return Accelerator(
        mixed_precision=names[dtype],
        cpu=device == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )


def _prepare(
    job: Job, dtype: torch.dtype, accelerator: Any, pool: ThreadPoolExecutor, progress: Progress
) -> Training:
    settings = job.settings
    dataset = _open(job, progress)
    captioned = captions.read(Path(job.captions))
    captions.check(captioned, dataset.files("train"))
    parts = load_parts(Path(job.base), dtype, accelerator.device, settings.resolution_px)
    inputs: Inputs = Pixels(dataset, pool, settings.resolution_px, random_crop=not settings.center_crop)
    if job.latents:
        inputs = Stored(Path(job.latents))
    ids = parts.tokens(list(captioned.texts))
    return Training(parts, accelerator, settings, job.seed, inputs, ids, progress)


def _open(job: Job, progress: Progress) -> Dataset:
    """Open the job's dataset; every process opens its own."""
    cache, module = Path(job.cache), plugins.load("datasets", job.dataset.name)
    dataset = staged.opened(
        *(cache, job.dataset_sha256, progress),
        lambda: module.open_dataset(job.dataset, cache, progress),
    )
    check_content(job.dataset, dataset.manifest, job.dataset_sha256)
    return dataset


def _pictures(job: Job, training: Training, epoch: int) -> None:
    """Draw the validation prompts with the averaged weights, in the configured epochs."""
    settings = job.settings
    due = settings.validation_prompts and epoch % settings.validation_epochs == 0
    if not (due and training.accelerator.is_main_process):
        return
    path = Path(job.partial) / PICTURES / f"epoch-{epoch}.png"
    with training.averaged(), training.accelerator.autocast():
        output.draw_pictures(
            training.parts,
            Path(job.base),
            settings.validation_prompts,
            job.seed,
            settings.resolution_px,
            path,
        )


def _write(job: Job, training: Training, files: Sequence[str]) -> None:
    """Write the artifact: pipeline with the averaged weights, model card, log, pictures."""
    folder, settings = Path(job.folder), job.settings
    pictures = Path(job.partial) / PICTURES
    with training.averaged():
        unet = training.unet.to(memory_format=torch.contiguous_format)
        output.write_pipeline(Path(job.base), files, unet, folder)
    (folder / "log.jsonl").write_text("".join(training.log), encoding="utf-8")
    if pictures.is_dir():
        shutil.copytree(pictures, folder / "validation", ignore=shutil.ignore_patterns(".*"))
    output.write_card(folder, _facts(job, training), settings)


def _facts(job: Job, training: Training) -> dict[str, Any]:
    """Return the fields of the model card besides the settings."""
    manifest = _open(job, Progress()).manifest
    images = manifest.count("train")
    return {
        "dataset": manifest.name,
        "variant": f" ({manifest.variant})" if manifest.variant else "",
        "dataset_sha256": manifest.content_hash,
        "images": images,
        "base": job.source,
        "base_sha256": job.base_sha256,
        "updates": job.settings.epochs * updates_per_epoch(images, job.settings),
        "precision": dtype_name(training.parts.dtype),
        "seed": job.seed,
    }


if __name__ == "__main__":
    launch.serve(Path(sys.argv[1]), lambda text, progress: train(Job.from_json(text), progress))
