"""Stage caption: with a tiny LLaVA, also when killed, and from imported files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.flipping import flip
from tests.tiny_models import llava as save_llava
from uvlp.artifacts import captions, work
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.parts.parts import SPLITS, Share
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work, read_notes
from uvlp.captioners.llava import Llava
from uvlp.captioners.texts import imported
from uvlp.captioners.texts.answers import Answer
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Event, Progress
from uvlp.pipeline.datasets import open_dataset
from uvlp.recipes.schema import CaptionSettings
from uvlp.stages import caption

CLASSES = {"n01440764": "tench", "n02102040": "English springer", "n03000684": "chain saw"}
PER_CLASS = 5
SETTINGS = CaptionSettings(captioner="llava", batch=2, shard=3, max_new_tokens=4)  # parts of 4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three classes, and the tiny model."""
    root = tmp_path_factory.mktemp("caption")
    stream = np.random.default_rng(0)
    for split, count in (("train", PER_CLASS), ("val", 1)):
        for name in CLASSES:
            folder = root / "data" / split / name
            folder.mkdir(parents=True)
            for slot in range(count):
                cells = stream.integers(0, 256, (4, 4, 3), dtype=np.uint8)
                pixels = np.kron(cells, np.ones((8, 6 + 4 * (slot % 3), 1), np.uint8))
                Image.fromarray(pixels).save(folder / f"{name}_{slot}.JPEG")
    lines = [f"{identity}\t{name}\n" for identity, name in CLASSES.items()]
    (root / "data" / "classes.tsv").write_text("".join(lines))
    save_llava(root / "llava")
    return root


def task(root: Path, settings: CaptionSettings = SETTINGS, **more: Any) -> Task:
    return (
        Task(
            kind=captions.KIND,
            stage="caption",
            plugin=settings.captioner,
            settings=settings,
            facts={"models": {"llava": "f" * 64}, "precision": "auto"},
            origins={"llava": str(root / "llava")},
            dataset_spec=DatasetSpec(name="folder", argument=str(root / "data")),
            title="captions",
        )
        if not more
        else replace(task(root, settings), **more)
    )


def make(store: Store, wanted: Task, messages: list[str] | None = None) -> Path:
    """Make the artifact like the pipeline; return its folder."""

    def collect(event: Event) -> None:
        if event.message and messages is not None:
            messages.append(event.message)

    store.prepare()
    progress = Progress(collect)
    with store.making(wanted, progress.log) as folder:
        assert folder is not None
        caption.run(
            Work(task=wanted, folder=folder, store=store, progress=progress, open_dataset=open_dataset)
        )
        store.commit(wanted, folder, {})
    return store.folder(wanted)


@pytest.fixture(scope="module")
def uninterrupted(root: Path) -> Path:
    """Captions made without interruption."""
    return make(Store(root / "store"), task(root))


class Killed(BaseException):
    """Stands for a kill of the process."""


class Dying:
    """Lets the model answer that many batches, then raises `Killed`; counts the images."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
        self.left, self.shown, self._answers = batches, 0, Llava.answers
        monkeypatch.setattr(Llava, "answers", lambda *arguments: self.answers(*arguments))

    def answers(self, model: Llava, images: Sequence[np.ndarray], *rest: Any) -> list[Answer]:
        if self.left == 0:
            raise Killed
        self.left -= 1
        self.shown += len(images)
        return self._answers(model, images, *rest)


def test_every_image_has_a_caption(root: Path, uninterrupted: Path) -> None:
    found = captions.read(uninterrupted)
    assert len(found.files) == 15 and found.files[0] == "train/n01440764/n01440764_0.JPEG"
    assert all(found.texts) and len(set(found.texts)) > 1
    assert found.prompts == CLASSES
    assert read_notes(uninterrupted) == {"captions cut at max_new_tokens": 15}
    assert not (root / "store" / "partial" / uninterrupted.name).exists() and not list(
        (root / "store").rglob("answers.jsonl")
    )


@pytest.mark.parametrize("batches", [1, 5])
def test_a_killed_run_resumes_at_the_last_part_with_the_same_bytes(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """Eight batches of two in four parts of four; finished parts are not generated again."""
    store, wanted, messages = Store(tmp_path), task(root), list[str]()
    with monkeypatch.context() as patched, pytest.raises(Killed):
        Dying(patched, batches)
        make(store, wanted)
    kept = batches // 2 * 4
    assert sum(1 for _ in tmp_path.rglob("partial/*/parts/0*/answers.jsonl")) == kept // 4
    with monkeypatch.context() as patched:
        second = Dying(patched, 99)
        folder = make(store, wanted, messages)
    assert second.shown == 15 - kept
    assert any(f"{kept} captions exist" in line for line in messages) == (kept > 0)
    for name in ("metadata.jsonl", "prompts.json", "notes.json"):
        assert (folder / name).read_bytes() == (uninterrupted / name).read_bytes()


@pytest.mark.parametrize("share", [0, 0.5, 0.9, None])
def test_a_damaged_part_is_reported_and_generated_again(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float | None
) -> None:
    store, wanted, messages = Store(tmp_path), task(root), list[str]()
    with monkeypatch.context() as patched, pytest.raises(Killed):
        Dying(patched, 7)
        make(store, wanted)
    path = store.partial(wanted) / "parts/00000004/answers.jsonl"
    flip(path, share) if share is not None else path.write_bytes(path.read_bytes()[:-9])
    with monkeypatch.context() as patched:
        second = Dying(patched, 99)
        folder = make(store, wanted, messages)
    assert second.shown == 7 and "item 5" in messages[0]
    assert (folder / "metadata.jsonl").read_bytes() == (uninterrupted / "metadata.jsonl").read_bytes()


def test_parts_of_another_model_are_refused_and_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that was renamed."""
    store, wanted = Store(tmp_path), task(root)
    other = task(root, facts={"models": {"llava": "e" * 64}, "precision": "auto"})
    with monkeypatch.context() as patched, pytest.raises(Killed):
        Dying(patched, 5)
        make(store, other)
    store.partial(other).rename(store.partial(wanted))  # onto an empty folder
    with pytest.raises(UvlpError) as caught:
        make(store, wanted)
    assert (caught.value.got, caught.value.allowed) == (other.key, wanted.key)
    assert len(list(store.partial(wanted).rglob("answers.jsonl"))) == 2


def test_captions_of_an_earlier_version_are_discarded(
    root: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    store, wanted, messages = Store(tmp_path), task(root), list[str]()
    row = {"file_name": "train/n01440764/n01440764_0.JPEG", "text": "wrong", "ended": True}
    (store.partial(wanted) / "00000000.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    folder = make(store, wanted, messages)
    assert "earlier version" in messages[0]
    assert (folder / "metadata.jsonl").read_bytes() == (uninterrupted / "metadata.jsonl").read_bytes()


@pytest.mark.parametrize("count", [1, 3])
def test_pieces_give_equal_bytes(root: Path, uninterrupted: Path, tmp_path: Path, count: int) -> None:
    store, wanted = Store(tmp_path), task(root)
    store.prepare()
    for index in reversed(range(count)):
        share_of(store, wanted, Share(index, count, publishes=False))
    folder = make(store, wanted)
    for name in ("metadata.jsonl", "prompts.json", "notes.json"):
        assert (folder / name).read_bytes() == (uninterrupted / name).read_bytes()


def share_of(store: Store, wanted: Task, share: Share) -> list[str]:
    """Make the parts of a share; return what was logged."""
    lines: list[str] = []
    progress = Progress(lambda event: lines.append(event.message) if event.message else None)
    caption.run(
        Work(
            task=wanted,
            folder=store.root / "unused",
            store=store,
            progress=progress,
            open_dataset=open_dataset,
            share=share,
        )
    )
    return lines


def test_a_job_that_is_done_makes_parts_of_slower_ones(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, wanted = Store(tmp_path), task(root)
    store.prepare()
    model = Dying(monkeypatch, 99)
    times = iter([0.0, 100.0, 101.0, 201.0])  # its own two parts take 100 s, and one of others as long
    with monkeypatch.context() as patched:
        patched.setattr(work, "monotonic", lambda: next(times))
        lines = share_of(store, wanted, Share(0, 3, publishes=False, helps=True))
    assert any("making some of slower jobs" in line for line in lines) and model.shown == 4 + 3 + 4
    assert not share_of(store, wanted, Share(1, 3, publishes=False, helps=True))
    folder = make(store, wanted)
    assert model.shown == 15, "each image once"
    assert (folder / "metadata.jsonl").read_bytes() == (uninterrupted / "metadata.jsonl").read_bytes()


def test_captions_do_not_depend_on_the_batch_on_a_cpu(
    root: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    folder = make(Store(tmp_path), task(root, replace(SETTINGS, batch=7, shard=256)))
    assert captions.read(folder) == captions.read(uninterrupted)


def test_running_out_of_memory_splits_the_batch(
    root: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Llava.answers

    def cramped(model: Llava, images: Sequence[np.ndarray], *rest: Any) -> list[Answer]:
        if len(images) > 2:
            raise torch.OutOfMemoryError("too small")
        return answers(model, images, *rest)

    monkeypatch.setattr(Llava, "answers", cramped)
    messages: list[str] = []
    folder = make(Store(tmp_path), task(root, replace(SETTINGS, batch=4)), messages)
    assert sum("out of GPU memory at batch size" in line for line in messages) == 4
    assert captions.read(folder) == captions.read(uninterrupted)
    assert read_notes(folder) == {**read_notes(uninterrupted), SPLITS: 4}


def test_published_sampling_is_the_same_in_any_batch(root: Path, uninterrupted: Path, tmp_path: Path) -> None:
    sampled = replace(SETTINGS, sampling="published")
    folder = make(Store(tmp_path / "2"), task(root, sampled))
    other = make(Store(tmp_path / "5"), task(root, replace(sampled, batch=5)))
    assert captions.read(folder) == captions.read(other)
    assert captions.read(folder) != captions.read(uninterrupted)


def test_after_an_empty_answer_no_caption_is_generated_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All answers are stored, and used once empty captions are allowed."""

    def silent(_: Llava, images: Sequence[np.ndarray], *__: Any) -> list[Answer]:
        return [Answer("" if image.shape[1] > 50 else "seen") for image in images]

    store = Store(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Llava, "answers", silent)
        with pytest.raises(UvlpError) as caught:
            make(store, task(root))
    assert str(caught.value.got).startswith("train/n01440764/n01440764_2.JPEG, ")
    assert "empty" in str(caught.value.fix)
    allowed = task(root, replace(SETTINGS, missing="empty"))
    with monkeypatch.context() as patched:
        Dying(patched, 0)
        folder = make(store, allowed)
    assert captions.read(folder).missing == 3
    assert read_notes(folder) == {"missing captions": 3}
    assert not list((tmp_path / "partial").iterdir())


def test_a_missing_model_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        make(Store(tmp_path), task(root, origins={"llava": str(tmp_path / "nowhere")}))
    assert str(tmp_path / "nowhere") in caught.value.what


def from_file(root: Path, store: Store, texts: dict[str, str], missing: str = "stop") -> Task:
    """Import captions for the dataset of ``root``; return their task."""
    spec = DatasetSpec(name="folder", argument=str(root / "data"))
    work = task(root)
    manifest = (
        Work(task=work, folder=root, store=store, progress=Progress(), open_dataset=open_dataset)
        .dataset()
        .manifest
    )
    path = imported.file_path(store.root, spec, manifest)
    imported.write(path, texts)
    assert imported.find(store.root, spec, manifest) == path
    settings = CaptionSettings(captioner="file", missing=missing)
    return replace(task(root, settings), facts={"file": file_sha256(path)}, origins={"file": str(path)})


def names(root: Path) -> list[str]:
    folder = root / "data" / "train"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.JPEG"))


def test_imported_captions_are_used(root: Path, tmp_path: Path) -> None:
    texts = {name: f"of {name}" for name in names(root)}
    store = Store(tmp_path)
    found = captions.read(make(store, from_file(root, store, texts)))
    assert found.texts == tuple(texts.values()) and found.prompts == CLASSES


def test_incomplete_imported_captions_are_refused_unless_empty_is_allowed(root: Path, tmp_path: Path) -> None:
    texts = {name: f"of {name}" for name in names(root)[:-2]} | {names(root)[-1]: " "}
    store = Store(tmp_path)
    with pytest.raises(UvlpError) as caught:
        make(store, from_file(root, store, texts))
    assert caught.value.got == ", ".join(f"train/{name}" for name in names(root)[-2:])
    found = make(store, from_file(root, store, texts, "empty"))
    assert captions.read(found).missing == 2 and read_notes(found) == {"missing captions": 2}


def test_changed_or_unmatched_imported_captions_are_refused(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    wanted = from_file(root, store, dict.fromkeys(names(root), "x"))
    path = Path(wanted.origins["file"])
    path.write_text(path.read_text() + json.dumps({"file_name": "gone.png", "text": "x"}) + "\n")
    with pytest.raises(UvlpError) as caught:
        make(store, wanted)
    assert caught.value.got == str(path)
    wanted = replace(wanted, facts={"file": file_sha256(path)})
    with pytest.raises(UvlpError) as caught:
        make(store, wanted)
    assert caught.value.got == "gone.png"


def test_a_dataset_without_captions_is_refused(root: Path, tmp_path: Path) -> None:
    wanted = replace(task(root, CaptionSettings(captioner="file")), origins={}, facts={})
    with pytest.raises(UvlpError) as caught:
        make(Store(tmp_path), wanted)
    assert "uvlp captions import" in str(caught.value.fix)


def test_measured_captions_have_plain_prompts(root: Path, tmp_path: Path) -> None:
    wanted = replace(task(root, CaptionSettings(captioner="colours")), origins={}, facts={"image_px": 32})
    found = captions.read(make(Store(tmp_path), wanted))
    assert found.prompts["n01440764"] == "a photo of a tench"
    assert found.texts[0].startswith("a photo of a tench, ")
