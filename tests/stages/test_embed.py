"""Stage embed: features from images and published models, resumed runs, errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests import tiny_models
from tests.flipping import flip
from tests.image_features import image_features
from tests.tolerances import depth, rounding
from uvlp.artifacts import captions, features
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.parts import arrays, parts
from uvlp.artifacts.parts.parts import SPLITS, Share
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work, read_notes
from uvlp.core.errors import UvlpError
from uvlp.core.files import disk_space, writing
from uvlp.core.progress import Event, Progress
from uvlp.core.wording import byte_size
from uvlp.datasets.files.images.image_files import load_squashed
from uvlp.methods.algorithms.prompt_ensemble import prompts
from uvlp.models.autoencoder import Autoencoder
from uvlp.models.embedder import Embedder
from uvlp.models.image_encoder import ImageEncoder
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import EmbedSettings
from uvlp.stages import embed

SETTINGS = EmbedSettings(batch=3, shard=2)
SIZE_PX = 64


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of ten images in various formats, and two published models."""
    root = tmp_path_factory.mktemp("embed")
    generator = np.random.default_rng(0)
    for name in ("bar", "circle"):
        (root / "data" / "train" / name).mkdir(parents=True)
        (root / "data" / "val" / name).mkdir(parents=True)
        for slot in range(10):
            image = Image.fromarray(generator.integers(0, 256, (40, 50, 3), dtype=np.uint8))
            _save(image, root / "data" / "train" / name / f"{slot}", slot)
        image.save(root / "data" / "val" / name / "0.png")
    tiny_models.clip(root / "clip")
    tiny_models.diffusion(root / "diffusion")
    return root


def _save(image: Image.Image, stem: Path, slot: int) -> None:
    """CMYK, palette, 16-bit grey, a rotated JPEG, or a plain file."""
    match slot % 5:
        case 0:
            image.convert("CMYK").save(stem.with_suffix(".jpg"))
        case 1:
            image.convert("P").save(stem.with_suffix(".png"))
        case 2:
            grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
            Image.fromarray(grey).save(stem.with_suffix(".png"))
        case 3:
            turned = Image.Exif()
            turned[0x0112] = 6
            image.save(stem.with_suffix(".jpg"), exif=turned)
        case _:
            image.save(stem.with_suffix(".png"))


def task(root: Path, plugin: str, **changes: Any) -> Task:
    made = Task(
        kind=features.KIND,
        stage="embed",
        plugin=plugin,
        schema=features.SCHEMA,
        settings=SETTINGS,
        facts={"image_px": SIZE_PX, "models": {"embedder": "1", "autoencoder": "2"}, "precision": "auto"},
        inputs={} if plugin == "images" else {"captions": Task(kind="captions", stage="caption")},
        dataset_spec=DatasetSpec(name="folder", argument=str(root / "data")),
        origins={"embedder": str(root / "clip"), "autoencoder": str(root / "diffusion")},
    )
    return replace(made, **changes)


def run(store: Path, given: Task, events: list[Event] | None = None, share: Share | None = None) -> Path:
    """Make an artifact like the pipeline, without its manifest."""
    made = Store(store)
    folder = made.root / ".tmp" / given.key
    folder.mkdir(parents=True, exist_ok=True)
    collected = events if events is not None else []
    embed.run(
        Work(
            task=given,
            folder=folder,
            store=made,
            progress=Progress(collected.append, "embed"),
            open_dataset=open_dataset,
            share=share or Share(),
        )
    )
    return folder


@pytest.fixture(scope="module")
def uninterrupted(root: Path) -> Path:
    return run(root / "uninterrupted", task(root, "images"))


def rows(root: Path) -> tuple[list[Path], np.ndarray]:
    listed = [
        sorted((root / "data" / "train" / name).iterdir(), key=lambda path: path.name)
        for name in ("bar", "circle")
    ]
    paths = [path for paths in listed for path in paths]
    return paths, load_squashed(paths, SIZE_PX)


def test_images_of_all_formats_are_embedded(root: Path, uninterrupted: Path) -> None:
    found, (_, pixels) = features.read({"images": uninterrupted}), rows(root)
    assert all(isinstance(array, np.memmap) for array in found.values())
    assert found["mean"].dtype == found["deviation"].dtype == np.float16
    mean, deviation = Autoencoder.load(root / "diffusion", "vae").posterior(pixels)
    clip = Embedder.load(root / "clip")
    bound = rounding(depth(clip._model.visual))
    np.testing.assert_allclose(found["image"], image_features(clip, pixels), rtol=0, atol=bound)
    encoder = Autoencoder.load(root / "diffusion", "vae")._model.encoder
    for stored, wanted in ((found["mean"], mean), (found["deviation"], deviation)):
        largest = wanted.abs().max().item()
        bound = rounding(1, torch.float16, largest) + rounding(depth(encoder), largest=largest)
        np.testing.assert_allclose(stored, wanted, rtol=0, atol=bound)
    assert sorted(path.name for path in uninterrupted.iterdir()) == ["deviation.npy", "image.npy", "mean.npy"]


def test_features_of_small_models_are_stored_in_full_precision(root: Path) -> None:
    given = task(root, "images", facts={"image_px": SIZE_PX})
    found = features.read({"images": run(root / "small", given)})
    assert {array.dtype.name for array in found.values()} == {"float32"}


def test_an_interrupted_run_resumes_after_its_last_part(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, sizes, events = ImageEncoder.encode, list[int](), list[Event]()

    def interrupted(self: ImageEncoder, batch: Any) -> dict[str, np.ndarray]:
        if len(sizes) == 5:  # two parts of two batches, and half of the third
            raise KeyboardInterrupt
        sizes.append(len(batch[0]))
        return encode(self, batch)

    def counted(self: ImageEncoder, batch: Any) -> dict[str, np.ndarray]:
        sizes.append(len(batch[0]))
        return encode(self, batch)

    monkeypatch.setattr(ImageEncoder, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, task(root, "images"))
    sizes.clear()
    monkeypatch.setattr(ImageEncoder, "encode", counted)
    again = run(tmp_path, task(root, "images"), events)
    assert sizes == [3, 3, 2]  # the rows from 12 on
    assert "12 rows exist from an earlier run" in " ".join(event.message for event in events)
    for path in uninterrupted.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_a_full_disk_keeps_finished_parts(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        if path.name == "mean.npy" and path.parent.name.startswith(".00000006."):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        writing.flush(path)

    store, given = Store(tmp_path), task(root, "images")
    store.prepare()
    with monkeypatch.context() as patched, pytest.raises(UvlpError) as error:
        patched.setattr(parts, "flush", full)
        with store.making(given, print) as folder:
            assert folder is not None
            embed.run(
                Work(task=given, folder=folder, store=store, progress=Progress(), open_dataset=open_dataset)
            )
    assert "No space left" in str(error.value)
    assert "finished artifacts are kept" in str(error.value.fix)
    events: list[Event] = []
    run(tmp_path, given, events)
    assert "6 rows exist from an earlier run" in " ".join(event.message for event in events)


def test_a_disk_that_is_too_small_is_reported_after_the_first_batch(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: 999)
    with pytest.raises(UvlpError) as caught:
        run(tmp_path, task(root, "images"))
    assert caught.value.what == "the disk is too small for the features"
    row_bytes = 2 * 2 * 4 * (SIZE_PX // 8) ** 2 + 4 * tiny_models.WIDTH
    assert str(caught.value.allowed) == f"{byte_size(20 * row_bytes)} or more"


@pytest.mark.usefixtures("every_core")
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("plugin", ["images", "texts"])
def test_pieces_give_equal_bytes(root: Path, tmp_path: Path, plugin: str, count: int) -> None:
    given = task(root, plugin)
    for folder in (tmp_path / "alone", tmp_path / "shared"):
        if plugin == "texts":
            captioned(folder, given, [f"circle {row}" for row in range(20)])
    alone = run(tmp_path / "alone", given)
    for index in range(count):
        run(tmp_path / "shared", given, share=Share(index, count, publishes=False))
    shared = run(tmp_path / "shared", given)
    names = sorted(path.name for path in alone.iterdir())
    assert names == sorted(path.name for path in shared.iterdir())
    assert all((alone / name).read_bytes() == (shared / name).read_bytes() for name in names)


def test_long_features_stay_in_parts_that_are_read_and_verified_as_one(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "JOINED_BYTES", 9)
    store, given = Store(tmp_path), task(root, "images")
    store.prepare()
    with store.making(given, print) as folder:
        assert folder is not None
        embed.run(
            Work(task=given, folder=folder, store=store, progress=Progress(), open_dataset=open_dataset)
        )
        store.commit(given, folder, {})
    parts_of_a_column = [f"{first:08}.npy" for first in (0, 6, 12, 18)]
    assert [path.name for path in sorted((store.folder(given) / "mean").iterdir())] == parts_of_a_column
    found, whole = features.read({"images": store.folder(given)}), features.read({"images": uninterrupted})
    shape = whole["mean"].shape[1:]
    drawn = [
        features.Latents(read["mean"], read["deviation"], lambda row: np.full(shape, row))[[19, 0, 7, 6]]
        for read in (found, whole)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    for name, array in found.items():
        assert isinstance(array, arrays.PartedArray)
        assert np.asarray(array).tobytes() == np.asarray(whole[name]).tobytes()
    assert store.damage(given) is None
    flip(store.folder(given) / "mean" / "00000006.npy", 1)
    assert Store(tmp_path).damage(given) == "mean/00000006.npy"


def test_a_batch_that_does_not_fit_into_memory_is_split_and_counted(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, sizes = ImageEncoder._encode, list[int]()

    def limited(self: ImageEncoder, batch: Any, rows: Any) -> Any:
        sizes.append(len(rows))
        if sizes == [3, 3]:
            raise torch.OutOfMemoryError
        return encode(self, batch, rows)

    monkeypatch.setattr(ImageEncoder, "_encode", limited)
    folder = run(tmp_path, task(root, "images"))
    assert sizes == [3, 3, 2, 1, 3, 3, 3, 3, 2]
    assert read_notes(folder) == {SPLITS: 1}
    found, whole = features.read({"images": folder}), features.read({"images": uninterrupted})
    other = [row for row in range(20) if row not in (3, 4, 5)]
    assert all(np.array_equal(found[name][other], whole[name][other]) for name in found)
    bound = rounding(depth(Embedder.load(root / "clip")._model.visual))
    np.testing.assert_allclose(found["image"][3:6], whole["image"][3:6], rtol=0, atol=bound)


@pytest.fixture
def broken(root: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the models whose autoencoder may be modified."""
    yield tiny_models.diffusion(tmp_path / "broken")


def test_a_value_that_is_not_finite_names_its_image(root: Path, broken: Path, tmp_path: Path) -> None:
    file = broken / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["quant_conv.bias"][0] = torch.nan
    save_file(weights, file)
    given = task(root, "images", origins={"embedder": str(root / "clip"), "autoencoder": str(broken)})
    with pytest.raises(UvlpError) as caught:
        run(tmp_path, given)
    assert "train/bar/0.jpg" in caught.value.what


def test_moments_beyond_half_precision_are_refused(root: Path, broken: Path, tmp_path: Path) -> None:
    config = broken / "vae" / "config.json"
    config.write_text(config.read_text().replace("0.18215", "1e9"))
    given = task(root, "images", origins={"embedder": str(root / "clip"), "autoencoder": str(broken)})
    with pytest.raises(UvlpError) as caught:
        run(tmp_path, given)
    assert "train/bar/0.jpg" in caught.value.what and "precision=float32" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch", 0), ("shard", 0), ("clip_precision", "int8")],
)
def test_invalid_settings_are_refused(root: Path, tmp_path: Path, name: str, value: object) -> None:
    settings = replace(SETTINGS, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(UvlpError) as caught:
        run(tmp_path, task(root, "images", settings=settings))
    assert f"embed.{name}" in caught.value.what and caught.value.got == value


def captioned(store: Path, given: Task, texts: list[str]) -> None:
    folder = Store(store).folder(given.inputs["captions"])
    folder.mkdir(parents=True)
    captions.write(folder, [(f"train/{row}.png", text) for row, text in enumerate(texts)], {})


def test_texts_and_class_names_are_embedded(root: Path, tmp_path: Path) -> None:
    texts = [f"a red circle {'on the ' * row}" for row in range(20)] + ["dark " * 90, ""]
    given = task(root, "texts")
    captioned(tmp_path, given, texts)
    folder = run(tmp_path, given)
    found, embedder = features.read({"texts": folder}), Embedder.load(root / "clip")
    bound = rounding(depth(embedder._model))
    np.testing.assert_allclose(found["text"], embedder.text_features(texts), rtol=0, atol=bound)
    assert found["names"].shape == (2, tiny_models.WIDTH)
    mean = embedder.text_features(prompts("circle")).mean(axis=0)
    np.testing.assert_allclose(found["names"][1], mean / np.linalg.norm(mean), rtol=0, atol=bound)
    assert read_notes(folder) == {"captions longer than the text encoder reads, their tails cut": 1}


def test_interrupted_texts_are_resumed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, texts = task(root, "texts"), [f"circle {row}" for row in range(14)]
    captioned(tmp_path, given, texts)
    original, sizes = Embedder.text_features, list[int]()

    def interrupted(self: Embedder, items: Any) -> np.ndarray:
        sizes.append(len(items))
        if len(sizes) == 4:  # one part of two batches, and half of the second
            raise KeyboardInterrupt
        return original(self, items)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Embedder, "text_features", interrupted)
        run(tmp_path, given)
    events: list[Event] = []
    found = features.read({"texts": run(tmp_path, given, events)})
    assert "6 rows exist from an earlier run" in " ".join(event.message for event in events)
    clip = Embedder.load(root / "clip")
    np.testing.assert_allclose(
        found["text"], clip.text_features(texts), rtol=0, atol=rounding(depth(clip._model))
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_gives_the_features_of_the_cpu(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU machine the fixture `uninterrupted` ran on the GPU; the second run uses the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = features.read({"images": run(tmp_path, task(root, "images"))})
    for name, array in features.read({"images": uninterrupted}).items():
        np.testing.assert_allclose(
            np.asarray(array, np.float32), np.asarray(on_cpu[name], np.float32), atol=5e-3, rtol=2e-2
        )
