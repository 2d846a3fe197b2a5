"""All computations with the models on a simulated GPU: devices and dtypes of tensors.

The tests marked `gpu` do the same on a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.embedding.embed_images import CLASSES, write_photographs
from tests import tiny_models
from tests.captioners.test_llava import NAMES, PUBLISHED, photos
from tests.models.conftest import AUTOENCODER, DIFFUSER, EMBEDDER
from tests.models.finetuning.finetuning_jobs import encoded
from tests.models.finetuning.test_loop import SETTINGS
from tests.pretend_gpu import GPU, MEMORY, OnGpu, pretend_gpu
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.captioners import llava
from uvlp.core.progress import Progress
from uvlp.models import autoencoder, diffuser, embedder
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.embedder import Embedder
from uvlp.models.finetuning import checkpoints
from uvlp.models.finetuning.inputs import Pixels
from uvlp.models.finetuning.latent_cache import Stored
from uvlp.models.finetuning.loop import Training
from uvlp.models.finetuning.parts import load_parts
from uvlp.models.image_encoder import ImageEncoder
from uvlp.models.sampling.sampler import SCHEDULERS, Sampler
from uvlp.models.sampling.synthesis import derived_noise
from uvlp.models.training import one_cycle
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import SynthesisSettings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="has a real GPU"),
    pytest.mark.filterwarnings("ignore"),
]
PROMPTS = ["a photo of a small red bar", "a", "small large red bar " * 30]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("models")
    tiny_models.llava(root / "llava")
    return SimpleNamespace(
        diffusion=tiny_models.diffusion(root / "diffusion"),
        clip=tiny_models.clip(root / "clip"),
        llava=root / "llava",
        photographs=write_photographs(root / "photographs", CLASSES),
    )


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    torch.set_num_threads(1)
    with pretend_gpu(monkeypatch):
        yield


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("scheduler", "long_prompts"), [("pndm", True), *((name, False) for name in sorted(SCHEDULERS))]
)
def test_synthesis_runs_on_a_gpu(folders: SimpleNamespace, scheduler: str, long_prompts: bool) -> None:
    sampler = Sampler.load(folders.diffusion, "cuda", torch.float16)
    assert sampler.device == GPU and sampler.batch(100, (4, 8, 8)) == 25
    settings = SynthesisSettings(steps=4, scheduler=scheduler)
    noise = derived_noise(0, "class", range(3), (4, 8, 8))
    images = sampler.synthesise(torch.randn(3, 4, 8, 8), noise, PROMPTS, settings, long_prompts, PROMPTS)
    assert images.shape == (3, 64, 64, 3) and images.dtype == np.uint8


@pytest.mark.usefixtures("gpu")
def test_the_batch_does_not_depend_on_what_others_leave_free(
    folders: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = Sampler.load(folders.diffusion, "cuda", torch.float16)
    before = sampler.batch(100, (4, 512, 512))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (MEMORY // 1000, MEMORY))
    assert sampler.batch(100, (4, 512, 512)) == before
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (MEMORY // 1000, MEMORY // 100))
    assert sampler.batch(100, (4, 512, 512)) < before


@pytest.mark.usefixtures("gpu")
def test_decoding_in_float32_runs_on_a_gpu(folders: SimpleNamespace) -> None:
    model = Autoencoder.load(folders.diffusion, "vae", "cuda", torch.float16)
    again = model.pixels(torch.randn(2, 4, 8, 8, device="cuda").half(), torch.float32)
    assert again.device == GPU and again.dtype == torch.float32
    assert model.pixels(torch.randn(2, 4, 8, 8)).dtype == torch.float16


@pytest.mark.usefixtures("gpu")
def test_embedding_runs_on_a_gpu(folders: SimpleNamespace) -> None:
    clip = Embedder.load(folders.clip, "cuda")
    vae = Autoencoder.load(folders.diffusion, "vae", "cuda", torch.float16)
    encoder = ImageEncoder(clip, vae, "cuda", torch.float16, print)
    image = np.zeros((64, 64, 3), np.uint8)
    found = encoder.encode(encoder.join([encoder.prepare(image)] * 3))
    assert {name: array.dtype.name for name, array in found.items()} == {
        "image": "float32",
        "mean": "float16",
        "deviation": "float16",
    }
    assert clip.text_features(["a red bar", "a circle"]).shape == (2, found["image"].shape[1])


@pytest.mark.usefixtures("gpu")
def test_captioning_runs_on_a_gpu(folders: SimpleNamespace) -> None:
    with llava.opened(folders.llava, PUBLISHED, "auto") as model:
        assert model._model.dtype == torch.float16 and model._model.device == GPU
        assert len(model.answers(photos(), NAMES, range(len(NAMES)))) == len(NAMES)


@pytest.mark.usefixtures("gpu")
def test_small_models_train_on_a_gpu_and_resume(
    images: np.ndarray, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With loss scaling; the diffuser resumes from its checkpoint."""
    monkeypatch.setattr(one_cycle, "SAVE_EVERY_S", 0.0)
    change: Any = {"precision": "float16", "steps": 2}
    clip, coder, messages = tmp_path / "clip", tmp_path / "coder", list[str]()
    embedder.train(images, texts, replace(EMBEDDER, **change), 0, clip, Progress())
    autoencoder.train(images, replace(AUTOENCODER, **change), 0, coder, Progress())
    progress = Progress(lambda event: messages.append(event.message) if event.message else None)
    for name in ("first", "again"):
        settings = replace(DIFFUSER, **change)
        diffuser.train(images, texts, clip, coder, settings, 0, tmp_path / name, progress, tmp_path)
    assert "resuming after step 1 of 2" in messages


class Accelerator:
    """The part of accelerate's Accelerator that the loop uses, for one GPU without a driver."""

    device, num_processes, process_index, is_main_process = GPU, 1, 0, True
    backward, register_save_state_pre_hook = staticmethod(torch.Tensor.backward), lambda _, hook: None
    register_load_state_pre_hook, wait_for_everyone = lambda _, hook: None, lambda _: None
    clip_grad_norm_ = staticmethod(torch.nn.utils.clip_grad_norm_)

    def prepare(self, model: torch.nn.Module, optimiser: object) -> tuple[torch.nn.Module, object]:
        model.forward = torch.autocast("cuda", torch.bfloat16)(model.forward)
        return model, optimiser

    def no_sync(self, _: object) -> nullcontext[None]:
        return nullcontext()

    def reduce(self, loss: torch.Tensor, _: str) -> torch.Tensor:
        return loss

    def log(self, *_: object, **__: object) -> None:
        """No tracker."""


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("cached", [False, True])
def test_fine_tuning_runs_on_a_gpu(folders: SimpleNamespace, tmp_path: Path, cached: bool) -> None:
    settings = replace(SETTINGS, cache_latents=cached, gradient_checkpointing=not cached)
    spec = DatasetSpec(name="folder", argument=str(folders.photographs))
    dataset, accelerator = open_dataset(spec, tmp_path, Progress()), Accelerator()
    count = len(dataset.files("train"))
    parts = load_parts(folders.diffusion, torch.bfloat16, GPU, settings.resolution_px)
    with ThreadPoolExecutor(2) as pool:
        inputs: Any = Pixels(dataset, pool, settings.resolution_px)
        if cached:
            inputs = Stored(encoded(tmp_path, inputs, parts, count, settings.batch))
        ids = parts.tokens(["a red bar"] * count)
        trained = Training(parts, accelerator, settings, 0, inputs, ids, Progress())
        trained.run(tmp_path, lambda _: None)
        with trained.averaged():
            pass
    assert len(trained.log) == 2 and all(isinstance(each, OnGpu) for each in trained.unet.parameters())


@pytest.mark.usefixtures("gpu")
def test_saving_a_checkpoint_takes_no_gpu_memory(tmp_path: Path) -> None:
    """accelerate and safetensors copy channels-last tensors, for which a full GPU has no memory."""
    weight = torch.ones(2, 3, 4, 4, device="cuda").to(memory_format=torch.channels_last)
    hooks: list = []
    saved: list = [{"module.conv.weight": weight}]

    def save_state(_: str) -> None:
        hooks[0](None, saved, "")

    accelerator = SimpleNamespace(
        register_save_state_pre_hook=hooks.append,
        register_load_state_pre_hook=lambda _: None,
        save_state=save_state,
    )
    checkpoints.free_of_processes(accelerator)
    average = SimpleNamespace(shadow_params=[weight])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            OnGpu, "contiguous", lambda *_: pytest.fail("copied in the GPU's memory"), raising=False
        )
        checkpoints.save(accelerator, average, [], 1, tmp_path, 2)
    assert [(name, tensor.device.type) for name, tensor in saved[0].items()] == [("conv.weight", "cpu")]
