"""Synthesis of a set of prototypes: images do not depend on batches, memory and interruptions."""

from __future__ import annotations

import contextlib
import shutil
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from benchmarks import full_size
from benchmarks.live_memory import LivePeak
from tests import tiny_models
from tests.flipping import flip
from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.parts import growing_images
from uvlp.artifacts.parts.growing_images import GrowingImages
from uvlp.artifacts.prototypes import Prototype
from uvlp.core.errors import UvlpError
from uvlp.core.files.writing import complete_file
from uvlp.models.published import memory
from uvlp.models.sampling.sampler import Sampler
from uvlp.models.sampling.synthesis import Synthesis, derived_noise, published_noise, resize
from uvlp.recipes.schema import SynthesisSettings

SETTINGS = SynthesisSettings(strength=0.7, guidance=3.0, steps=3, batch=100)
TEXTS = [
    "a red bar on a pale ground, it has a bright shape and it is large" * 2,
    "a bar",
    "",
    "a small circle",
]
IGNORED: list[str] = []
"""Messages that no test checks."""
LEVELS = 1
"""Maximum difference of a byte to that of another batch: sums in another order may change the rounding."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.diffusion(tmp_path_factory.mktemp("stable-diffusion"))


@pytest.fixture(scope="module")
def sampler(folder: Path) -> Sampler:
    return Sampler.load(folder)


def synthesis(sampler: Sampler, classes: int = 3, long_prompts: bool = True, **changes: Any) -> Synthesis:
    """Return a synthesis of four prototypes per class, with texts of different lengths."""
    prototypes = [
        Prototype(class_id=f"c{label}", slot=slot, text=TEXTS[slot], members=(), latent_members=())
        for label in range(classes)
        for slot in range(4)
    ]
    entries = [
        Entry(
            file_name=f"{each.class_id}/{each.slot:05d}.png",
            label=int(each.class_id[1:]),
            class_id=each.class_id,
            class_name=each.class_id,
        )
        for each in prototypes
    ]
    latents = np.random.default_rng(0).normal(size=(len(prototypes), 4, 8, 8)).astype(np.float32)
    return Synthesis(
        sampler=sampler,
        settings=replace(SETTINGS, **changes),
        seed=0,
        long_prompts=long_prompts,
        latents=latents,
        prototypes=prototypes,
        entries=entries,
    )


def grown(job: Synthesis, folder: Path, messages: list[str] | None = None) -> np.ndarray:
    """Return all images, in the order of class and slot."""
    log = IGNORED.append if messages is None else messages.append
    rows = list(job.grow(GrowingImages(folder, IGNORED.append), log))
    assert sorted(rows) == list(range(len(job.entries)))
    return images_in(job, folder)


def images_in(job: Synthesis, folder: Path) -> np.ndarray:
    return np.stack([distilled.read_image(folder, entry) for entry in job.entries])


@pytest.fixture(scope="module", params=[False, True])
def at_once(request: pytest.FixtureRequest, sampler: Sampler, tmp_path_factory: Any) -> tuple[bool, Any]:
    job = synthesis(sampler, long_prompts=request.param)
    return request.param, grown(job, tmp_path_factory.mktemp("at-once"))


@pytest.mark.parametrize("batch", [1, 3, 7, 0])
def test_the_batch_size_changes_a_byte_by_at_most_one(
    sampler: Sampler, at_once: tuple[bool, np.ndarray], tmp_path: Path, batch: int
) -> None:
    found = grown(synthesis(sampler, long_prompts=at_once[0], batch=batch), tmp_path)
    assert np.abs(found.astype(int) - at_once[1]).max() <= LEVELS
    assert GrowingImages(tmp_path, IGNORED.append).state.batch == (batch or 4)


def test_too_little_memory_halves_the_batch(
    folder: Path, at_once: tuple[bool, np.ndarray], tmp_path: Path
) -> None:
    sampler = Sampler.load(folder)

    def refuse(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if len(args[0]) > 2 * 3:
            raise torch.OutOfMemoryError("too much")

    sampler._pipeline.unet.register_forward_pre_hook(refuse)
    messages: list[str] = []
    found = grown(synthesis(sampler, long_prompts=at_once[0]), tmp_path, messages)
    assert np.abs(found.astype(int) - at_once[1]).max() <= LEVELS
    assert [message.rpartition(" ")[2] for message in messages] == ["6", "3"]
    state = GrowingImages(tmp_path, IGNORED.append).state
    assert (state.done, state.batch, state.halved) == (12, 3, 2)


def test_prompts_of_equal_length_share_a_batch(folder: Path, tmp_path: Path) -> None:
    sampler = Sampler.load(folder)
    lengths: list[set[int]] = []

    def note(_: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        lengths.append({kwargs["encoder_hidden_states"].shape[1]})
        assert kwargs.get("encoder_attention_mask") is None

    sampler._pipeline.unet.register_forward_pre_hook(note, with_kwargs=True)
    job = synthesis(sampler, batch=3, negative_prompt="a")
    rows = list(job.grow(GrowingImages(tmp_path, IGNORED.append), IGNORED.append))
    slots = [job.prototypes[row].slot for row in rows]
    assert slots == [2] * 3 + [1] * 3 + [3] * 3 + [0] * 3
    assert len(set.union(*lengths)) == 4


@pytest.fixture(scope="module")
def whole(sampler: Sampler, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the images of an uninterrupted run with batches of three."""
    folder = tmp_path_factory.mktemp("whole")
    grown(synthesis(sampler, batch=3), folder)
    return folder


@pytest.mark.parametrize("fails_at", [0, 2, 5, 11])
def test_a_resumed_run_gives_equal_bytes(
    sampler: Sampler, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    job = synthesis(sampler, batch=3)
    written = 0

    @contextlib.contextmanager
    def stop(path: Path) -> Iterator[Path]:
        nonlocal written
        written += 1
        if written > fails_at:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.left").write_bytes(b"half")
            raise KeyboardInterrupt
        with complete_file(path) as unfinished:
            yield unfinished

    monkeypatch.setattr(growing_images, "complete_file", stop)
    with pytest.raises(KeyboardInterrupt):
        list(job.grow(GrowingImages(tmp_path / "stopped", IGNORED.append), IGNORED.append))
    monkeypatch.undo()
    images = GrowingImages(tmp_path / "stopped", IGNORED.append)
    done = 3 * (fails_at // 3)
    assert images.state.done == done
    # Another batch size, or another amount of free memory, is ignored from here on.
    again = replace(job, settings=replace(job.settings, batch=5)) if images.state.batch else job
    assert len(list(again.grow(images, IGNORED.append))) == 12 - done
    images.finish(tmp_path / "finished", job.entries)
    for entry in job.entries:
        name = Path("train", entry.file_name)
        assert (whole / name).read_bytes() == (tmp_path / "finished" / name).read_bytes()
    assert not list((tmp_path / "finished").rglob(".*"))


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("name", ["image", "record"])
def test_after_a_flipped_bit_images_are_rebuilt_from_its_batch_on(
    sampler: Sampler, whole: Path, tmp_path: Path, name: str, share: float
) -> None:
    job, folder, messages = synthesis(sampler, batch=3), tmp_path / whole.name, list[str]()
    shutil.copytree(whole, folder)
    fifth = job.entries[job._order()[4]].file_name
    flip(folder / ("batches/00000003.json" if name == "record" else f"train/{fifth}"), share)
    images = GrowingImages(folder, messages.append)
    assert images.state.done == 3 and len(messages) == 1
    list(job.grow(images, IGNORED.append))
    assert bytes_of(folder) == bytes_of(whole)


def test_images_without_records_or_of_another_artifact_are_not_reused(whole: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    shutil.copytree(whole, tmp_path / "other")
    assert GrowingImages(tmp_path / "other", messages.append).state.done == 0
    shutil.copytree(whole / "train", tmp_path / "old/train")
    (tmp_path / "old/state.json").write_text('{"done": 12, "batch": 3}', encoding="utf-8")
    assert GrowingImages(tmp_path / "old", messages.append).state.done == 0
    assert len(messages) == 2


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size_px", [32, 100])
def test_images_are_resized_by_pils_default(sampler: Sampler, tmp_path: Path, size_px: int) -> None:
    decoded = grown(synthesis(sampler, classes=1), tmp_path / "decoded")
    resized = grown(synthesis(sampler, classes=1, size_px=size_px), tmp_path / "resized")
    assert decoded.shape[1:] == (64, 64, 3)
    assert (resized == np.stack([resize(image, size_px) for image in decoded])).all()


def test_memory_does_not_grow_with_the_number_of_images(sampler: Sampler, tmp_path: Path) -> None:
    peaks = []
    for classes in (1, 5):
        job = synthesis(sampler, classes, strength=0.0, batch=2, size_px=200)
        tracemalloc.start()
        for _ in job.grow(GrowingImages(tmp_path / str(classes), IGNORED.append), IGNORED.append):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]  # 16 more images are 2 MB


def test_noise_is_derived_from_class_and_slot_or_published(sampler: Sampler) -> None:
    for job in (synthesis(sampler), synthesis(sampler, noise="published")):
        draw = job._noise()
        for prototype in job.prototypes:
            expected = (
                published_noise([prototype.slot], (4, 8, 8))
                if job.settings.noise == "published"
                else derived_noise(0, prototype.class_id, [prototype.slot], (4, 8, 8))
            )
            assert torch.equal(draw(prototype), expected)


def broken(folder: Path, part: str, value: float, bias: float = 0.0) -> Sampler:
    """Return a sampler whose UNet or decoder has constant weights in its last layer."""
    sampler = Sampler.load(folder)
    model = sampler._pipeline.unet if part == "unet" else sampler._pipeline.vae.decoder
    with torch.no_grad():
        model.conv_out.weight.fill_(value)
        model.conv_out.bias.fill_(bias)
    return sampler


@pytest.mark.parametrize(
    ("part", "value", "bias", "names"),
    [
        ("vae", 0.0, -9.0, ("c0/00002.png", "black")),
        ("vae", 0.0, 0.5, ("c0/00002.png", "colour")),
        ("unet", float("nan"), 0.0, ("class c0 slot 2, class c1 slot 2",)),
    ],
)
def test_a_failed_image_is_named(
    folder: Path, tmp_path: Path, part: str, value: float, bias: float, names: tuple[str, ...]
) -> None:
    job = synthesis(broken(folder, part, value, bias), batch=2, negative_prompt="a")
    with pytest.raises(UvlpError) as caught:
        grown(job, tmp_path)
    assert all(name in caught.value.what for name in names)
    assert not (tmp_path / "train").exists()


def test_images_finished_before_a_failure_are_kept(folder: Path, tmp_path: Path) -> None:
    job = synthesis(Sampler.load(folder), batch=3)
    job.latents[job._order()[7]] = np.nan
    with pytest.raises(UvlpError):
        grown(job, tmp_path)
    assert GrowingImages(tmp_path, IGNORED.append).state.done == 6
    assert len(list(tmp_path.rglob("*.png"))) == 6


def test_predicted_memory_agrees_with_the_full_size_models() -> None:
    half, cells = torch.float16, 64 * 64
    unet = full_size.build(UNet2DConditionModel, full_size.unet_config(), "meta", half)
    vae = full_size.build(AutoencoderKL, full_size.vae_config(), "meta", half)
    with torch.inference_mode():
        with LivePeak(unet) as call:
            states = torch.empty((2, 77, 768), device="meta", dtype=half)
            samples = torch.empty((2, 4, 64, 64), device="meta", dtype=half)
            unet(samples, torch.empty(2, device="meta"), states)
        with LivePeak(vae) as decoding:
            vae.decode(samples[:1])
    predicted = memory.prototype_bytes(unet.config.block_out_channels[0], cells, half.itemsize)
    assert predicted == pytest.approx(call.peak, rel=0.05)
    assert decoding.peak <= memory.DECODED_SHARE * predicted


@pytest.mark.parametrize(
    ("count", "free", "batch"),
    [
        (100, None, 4),
        (3, None, 3),
        (100, 10**12, 25),
        (33, 10**12, 17),
        (100, 10**9, 5),
        (99, 8 * 10**8, 4),
        (5, 1, 1),
    ],
)
def test_prototypes_are_divided_evenly_among_batches(count: int, free: int | None, batch: int) -> None:
    assert memory.choose(count, 100 * 10**6, free) == batch


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_published_noise_is_drawn_on_the_gpu(folder: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    job = synthesis(Sampler.load(folder, "cuda", dtype), noise="published", batch=0)
    drawn = job._noise()(job.prototypes[3])
    assert drawn.device.type == "cuda" and drawn.dtype == dtype
    assert torch.equal(drawn, published_noise([3], (4, 8, 8), dtype, "cuda"))
    together = grown(job, tmp_path / "together")
    alone = grown(replace(job, settings=replace(job.settings, batch=1)), tmp_path / "alone")
    # bfloat16 has two decimal digits, the others three (float32 convolutions use TF32).
    assert np.abs(together.astype(int) - alone).mean() <= (4 if dtype == torch.bfloat16 else 1)
