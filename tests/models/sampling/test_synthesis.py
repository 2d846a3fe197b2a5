"""A whole set of prototypes: batches, memory that is too small, and interruptions change nothing to see."""

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
from uvlp.artifacts import distilled, growing_images
from uvlp.artifacts.distilled import Entry
from uvlp.artifacts.growing_images import GrowingImages
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
UNSAID: list[str] = []
"""What a run says where no test asks for it."""
LEVELS = 1
"""How far a byte may be from that of another batch: sums in another order may turn one rounding."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.diffusion(tmp_path_factory.mktemp("stable-diffusion"))


@pytest.fixture(scope="module")
def sampler(folder: Path) -> Sampler:
    return Sampler.load(folder)


def synthesis(sampler: Sampler, classes: int = 3, long_prompts: bool = True, **changes: Any) -> Synthesis:
    """Four prototypes per class; the texts differ in length."""
    described = [
        Prototype(class_id=f"c{label}", slot=slot, text=TEXTS[slot], members=(), latent_members=())
        for label in range(classes)
        for slot in range(4)
    ]
    entries = [
        Entry(
            file_name=f"{found.class_id}/{found.slot:05d}.png",
            label=int(found.class_id[1:]),
            class_id=found.class_id,
            class_name=found.class_id,
        )
        for found in described
    ]
    latents = np.random.default_rng(0).normal(size=(len(described), 4, 8, 8)).astype(np.float32)
    return Synthesis(
        sampler=sampler,
        settings=replace(SETTINGS, **changes),
        seed=0,
        long_prompts=long_prompts,
        latents=latents,
        prototypes=described,
        entries=entries,
    )


def grown(job: Synthesis, place: Path, said: list[str] | None = None) -> np.ndarray:
    """All images, in the order of class and slot."""
    rows = list(job.grow(GrowingImages(place, UNSAID.append), UNSAID.append if said is None else said.append))
    assert sorted(rows) == list(range(len(job.entries)))
    return images_in(job, place)


def images_in(job: Synthesis, place: Path) -> np.ndarray:
    return np.stack([distilled.read_image(place, entry) for entry in job.entries])


@pytest.fixture(scope="module", params=[False, True])
def at_once(request: pytest.FixtureRequest, sampler: Sampler, tmp_path_factory: Any) -> tuple[bool, Any]:
    job = synthesis(sampler, long_prompts=request.param)
    return request.param, grown(job, tmp_path_factory.mktemp("at-once"))


@pytest.mark.parametrize("batch", [1, 3, 7, 0])
def test_the_batch_changes_a_byte_by_one_at_most(
    sampler: Sampler, at_once: tuple[bool, np.ndarray], tmp_path: Path, batch: int
) -> None:
    found = grown(synthesis(sampler, long_prompts=at_once[0], batch=batch), tmp_path)
    assert np.abs(found.astype(int) - at_once[1]).max() <= LEVELS
    assert GrowingImages(tmp_path, UNSAID.append).state.batch == (batch or 4)


def test_too_little_memory_halves_the_batch_and_changes_nothing(
    folder: Path, at_once: tuple[bool, np.ndarray], tmp_path: Path
) -> None:
    sampler = Sampler.load(folder)

    def refuse(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if len(args[0]) > 2 * 3:
            raise torch.OutOfMemoryError("too much")

    sampler._pipeline.unet.register_forward_pre_hook(refuse)
    said: list[str] = []
    found = grown(synthesis(sampler, long_prompts=at_once[0]), tmp_path, said)
    assert np.abs(found.astype(int) - at_once[1]).max() <= LEVELS
    assert said == [
        "out of GPU memory at 12 at once: going on with 6",
        "out of GPU memory at 6 at once: going on with 3",
    ]
    state = GrowingImages(tmp_path, UNSAID.append).state
    assert (state.done, state.batch, state.halved) == (12, 3, 2)


def test_equal_lengths_of_all_classes_share_a_batch(folder: Path, tmp_path: Path) -> None:
    sampler = Sampler.load(folder)
    lengths: list[set[int]] = []

    def note(_: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        lengths.append({kwargs["encoder_hidden_states"].shape[1]})
        assert kwargs.get("encoder_attention_mask") is None

    sampler._pipeline.unet.register_forward_pre_hook(note, with_kwargs=True)
    job = synthesis(sampler, batch=3, negative_prompt="a")
    rows = list(job.grow(GrowingImages(tmp_path, UNSAID.append), UNSAID.append))
    slots = [job.prototypes[row].slot for row in rows]
    assert slots == [2] * 3 + [1] * 3 + [3] * 3 + [0] * 3
    assert len(set.union(*lengths)) == 4


@pytest.fixture(scope="module")
def whole(sampler: Sampler, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of a run that nothing interrupted, three at once."""
    place = tmp_path_factory.mktemp("whole")
    grown(synthesis(sampler, batch=3), place)
    return place


@pytest.mark.parametrize("fails_at", [0, 2, 5, 11])
def test_an_interrupted_run_goes_on_with_the_same_bytes(
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
        list(job.grow(GrowingImages(tmp_path / "stopped", UNSAID.append), UNSAID.append))
    monkeypatch.undo()
    images = GrowingImages(tmp_path / "stopped", UNSAID.append)
    done = 3 * (fails_at // 3)
    assert images.state.done == done
    # Other settings of the batch, or another amount of free memory, do not count any more.
    again = replace(job, settings=replace(job.settings, batch=5)) if images.state.batch else job
    assert len(list(again.grow(images, UNSAID.append))) == 12 - done
    images.finish(tmp_path / "finished", job.entries)
    for entry in job.entries:
        name = Path("train", entry.file_name)
        assert (whole / name).read_bytes() == (tmp_path / "finished" / name).read_bytes()
    assert not list((tmp_path / "finished").rglob(".*"))


@pytest.mark.parametrize("share", [0, 0.5, 1])
@pytest.mark.parametrize("name", ["image", "record"])
def test_a_flipped_bit_is_drawn_again_from_its_batch_on(
    sampler: Sampler, whole: Path, tmp_path: Path, name: str, share: float
) -> None:
    job, place, said = synthesis(sampler, batch=3), tmp_path / whole.name, list[str]()
    shutil.copytree(whole, place)
    fifth = job.entries[job._order()[4]].file_name
    flip(place / ("batches/00000003.json" if name == "record" else f"train/{fifth}"), share)
    images = GrowingImages(place, said.append)
    assert images.state.done == 3 and len(said) == 1
    list(job.grow(images, UNSAID.append))
    assert bytes_of(place) == bytes_of(whole)


def test_images_without_records_or_of_another_artifact_are_not_taken_up(whole: Path, tmp_path: Path) -> None:
    said: list[str] = []
    shutil.copytree(whole, tmp_path / "other")
    assert GrowingImages(tmp_path / "other", said.append).state.done == 0
    shutil.copytree(whole / "train", tmp_path / "old/train")
    (tmp_path / "old/state.json").write_text('{"done": 12, "batch": 3}', encoding="utf-8")
    assert GrowingImages(tmp_path / "old", said.append).state.done == 0
    assert len(said) == 2


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size_px", [32, 100])
def test_the_size_is_pils_default_resize(sampler: Sampler, tmp_path: Path, size_px: int) -> None:
    decoded = grown(synthesis(sampler, classes=1), tmp_path / "decoded")
    resized = grown(synthesis(sampler, classes=1, size_px=size_px), tmp_path / "resized")
    assert decoded.shape[1:] == (64, 64, 3)
    assert (resized == np.stack([resize(image, size_px) for image in decoded])).all()


def test_memory_does_not_grow_with_the_number_of_images(sampler: Sampler, tmp_path: Path) -> None:
    peaks = []
    for classes in (1, 5):
        job = synthesis(sampler, classes, strength=0.0, batch=2, size_px=200)
        tracemalloc.start()
        for _ in job.grow(GrowingImages(tmp_path / str(classes), UNSAID.append), UNSAID.append):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]  # 16 more images are 2 MB


def test_noise_belongs_to_class_and_slot_or_to_the_published_stream(sampler: Sampler) -> None:
    for job in (synthesis(sampler), synthesis(sampler, noise="published")):
        draw = job._noise()
        for found in job.prototypes:
            expected = (
                published_noise([found.slot], (4, 8, 8))
                if job.settings.noise == "published"
                else derived_noise(0, found.class_id, [found.slot], (4, 8, 8))
            )
            assert torch.equal(draw(found), expected)


def broken(folder: Path, part: str, value: float, bias: float = 0.0) -> Sampler:
    """A sampler whose UNet or decoder has nothing but ``value`` in its last layer."""
    sampler = Sampler.load(folder)
    model = sampler._pipeline.unet if part == "unet" else sampler._pipeline.vae.decoder
    with torch.no_grad():
        model.conv_out.weight.fill_(value)
        model.conv_out.bias.fill_(bias)
    return sampler


@pytest.mark.parametrize(
    ("part", "value", "bias", "message"),
    [
        ("vae", 0.0, -9.0, "c0/00002.png of class c0 .* is black"),
        ("vae", 0.0, 0.5, "c0/00002.png of class c0 .* is of one colour"),
        ("unet", float("nan"), 0.0, "not numbers: class c0 slot 2, class c1 slot 2"),
    ],
)
def test_an_image_that_failed_is_named(
    folder: Path, tmp_path: Path, part: str, value: float, bias: float, message: str
) -> None:
    job = synthesis(broken(folder, part, value, bias), batch=2, negative_prompt="a")
    with pytest.raises(UvlpError, match=message):
        grown(job, tmp_path)
    assert not (tmp_path / "train").exists()


def test_what_is_finished_before_a_failure_is_kept(folder: Path, tmp_path: Path) -> None:
    job = synthesis(Sampler.load(folder), batch=3)
    job.latents[job._order()[7]] = np.nan
    with pytest.raises(UvlpError, match="not numbers"):
        grown(job, tmp_path)
    assert GrowingImages(tmp_path, UNSAID.append).state.done == 6
    assert len(list(tmp_path.rglob("*.png"))) == 6


def test_memory_is_foreseen_as_it_is_counted_on_the_full_size_models() -> None:
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
    foreseen = memory.prototype_bytes(unet.config.block_out_channels[0], cells, half.itemsize)
    assert foreseen == pytest.approx(call.peak, rel=0.05)
    assert decoding.peak <= memory.DECODED_SHARE * foreseen


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
def test_the_batch_is_shared_out_evenly(count: int, free: int | None, batch: int) -> None:
    assert memory.choose(count, 100 * 10**6, free) == batch


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_on_a_gpu_the_published_noise_is_drawn_there(
    folder: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    job = synthesis(Sampler.load(folder, "cuda", dtype), noise="published", batch=0)
    drawn = job._noise()(job.prototypes[3])
    assert drawn.device.type == "cuda" and drawn.dtype == dtype
    assert torch.equal(drawn, published_noise([3], (4, 8, 8), dtype, "cuda"))
    together = grown(job, tmp_path / "together")
    alone = grown(replace(job, settings=replace(job.settings, batch=1)), tmp_path / "alone")
    # bfloat16 has two digits, the others three (TF32 in float32's convolutions).
    assert np.abs(together.astype(int) - alone).mean() <= (4 if dtype == torch.bfloat16 else 1)
