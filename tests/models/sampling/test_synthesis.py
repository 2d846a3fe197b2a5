"""Synthesis of a set of prototypes: images do not depend on batches, memory and interruptions."""

from __future__ import annotations

import shutil
import tempfile
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image

from benchmarks.costs.live_memory import LivePeak
from benchmarks.runs import full_size
from tests import tiny_models
from tests.flipping import flip
from uvlp.artifacts import distilled
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.parts import images
from uvlp.artifacts.parts.parts import SPLITS, Parts, Plan, Share
from uvlp.artifacts.prototypes import Prototype
from uvlp.core.errors import UvlpError
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


def opened(folder: Path, messages: list[str] | None = None) -> Parts:
    return Parts(folder, "key", (IGNORED if messages is None else messages).append)


def make(
    job: Synthesis, parts: Parts, share: Share | None = None, messages: list[str] | None = None
) -> list[int]:
    """Make the missing parts of a share; return their rows."""
    plan = parts.begin(job.plan("cpu", "float32"))
    missing = parts.missing(plan, share or Share())
    return list(job.make(parts, plan, missing, (IGNORED if messages is None else messages).append))


def grown(job: Synthesis, folder: Path, messages: list[str] | None = None) -> np.ndarray:
    """Return all images, in the order of class and slot."""
    rows = make(job, opened(folder), messages=messages)
    assert sorted(rows) == list(range(len(job.entries)))
    return images_in(job, folder)


def plan_in(folder: Path) -> Plan:
    plan = opened(folder).plan()
    assert plan is not None
    return plan


def images_in(job: Synthesis, folder: Path) -> np.ndarray:
    """Publish the images of all parts, and read them."""
    parts, plan = opened(folder), plan_in(folder)
    assert parts.missing(plan, Share()) == []
    with tempfile.TemporaryDirectory() as published:
        images.publish([parts.folder(part.start) for part in plan.parts(Share())], Path(published))
        return np.stack([distilled.read_image(Path(published), entry) for entry in job.entries])


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
    assert plan_in(tmp_path).batch == (batch or 4)


def test_too_little_memory_splits_the_batch_alone(
    folder: Path, at_once: tuple[bool, np.ndarray], tmp_path: Path
) -> None:
    sampler = Sampler.load(folder)
    sizes: list[int] = []

    def refuse(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        sizes.append(len(args[0]) // 2)
        if sizes == [6]:
            raise torch.OutOfMemoryError("too much")

    sampler._pipeline.unet.register_forward_pre_hook(refuse)
    messages: list[str] = []
    found = grown(synthesis(sampler, long_prompts=at_once[0], batch=6), tmp_path, messages)
    assert np.abs(found.astype(int) - at_once[1]).max() <= LEVELS
    assert len(messages) == 1 and sizes[0] == 6 and sizes.count(3) > 0 and sizes[-1] == 6
    parts = opened(tmp_path)
    assert parts.missing(plan_in(tmp_path), Share()) == []
    assert (plan_in(tmp_path).batch, parts.counts()) == (6, {SPLITS: 1})


def test_prompts_of_equal_length_share_a_batch(folder: Path, tmp_path: Path) -> None:
    sampler = Sampler.load(folder)
    lengths: list[set[int]] = []

    def note(_: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        lengths.append({kwargs["encoder_hidden_states"].shape[1]})
        assert kwargs.get("encoder_attention_mask") is None

    sampler._pipeline.unet.register_forward_pre_hook(note, with_kwargs=True)
    job = synthesis(sampler, batch=3, negative_prompt="a")
    rows = make(job, opened(tmp_path))
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
    job, save, written = synthesis(sampler, batch=3), Image.Image.save, 0

    def stop(image: Image.Image, *arguments: Any) -> None:
        nonlocal written
        written += 1
        if written > fails_at:
            raise KeyboardInterrupt
        save(image, *arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Image.Image, "save", stop)
        make(job, opened(tmp_path))
    done = 3 * (fails_at // 3)
    # Another batch size is ignored from here on.
    again = replace(job, settings=replace(job.settings, batch=5))
    assert len(make(again, opened(tmp_path))) == 12 - done
    assert bytes_of(tmp_path) == bytes_of(whole)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_images_do_not_depend_on_the_number_of_jobs(
    sampler: Sampler, whole: Path, tmp_path: Path, count: int
) -> None:
    for index in reversed(range(count)):
        make(synthesis(sampler, batch=3), opened(tmp_path), Share(index, count))
    assert bytes_of(tmp_path) == bytes_of(whole)


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("name", ["image", "mark"])
def test_after_a_flipped_bit_the_images_of_its_batch_are_made_again(
    sampler: Sampler, whole: Path, tmp_path: Path, name: str, share: float
) -> None:
    job, folder, messages = synthesis(sampler, batch=3), tmp_path / "copy", list[str]()
    shutil.copytree(whole, folder)
    order = job._order()
    fifth = job.entries[order[4]].file_name
    flip(folder / "parts/00000003" / ("mark.json" if name == "mark" else fifth), share)
    assert make(job, opened(folder, messages)) == order[3:6] and len(messages) == 1
    assert bytes_of(folder) == bytes_of(whole)


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
        make(job, opened(tmp_path / str(classes)))
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
    assert not list(tmp_path.rglob("*.png"))


def test_images_finished_before_a_failure_are_kept(folder: Path, tmp_path: Path) -> None:
    job = synthesis(Sampler.load(folder), batch=3)
    job.latents[job._order()[7]] = np.nan
    with pytest.raises(UvlpError):
        grown(job, tmp_path)
    assert opened(tmp_path).missing(plan_in(tmp_path), Share()) == [range(6, 9), range(9, 12)]
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
