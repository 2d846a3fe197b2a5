"""Stage finetune with Stable Diffusion: artifacts, errors, several processes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from tests.models.finetuning.finetuning_jobs import SETTINGS, job, make_world, with_latents
from tests.tolerances import depth, rounding
from uvlp.artifacts import captions, features, weights
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, read_manifest
from uvlp.core.errors import UvlpError, WorkerFailed
from uvlp.core.progress import Event, Progress
from uvlp.datasets.files.image_folder import ImageFolder
from uvlp.models.finetuning import launch
from uvlp.models.finetuning.data import share
from uvlp.models.finetuning.job import REVISION, Job, run
from uvlp.models.published import find
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.making.execute import execute
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, ModelSettings

CACHED = replace(SETTINGS, epochs=1, cache_latents=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_captions(make_world(tmp_path_factory.mktemp("world")))


def write_captions(world: Path) -> Path:
    """Write the captions beside the images, where stage `caption` finds them."""
    rows = captions.read(world / "captions")
    lines = [
        json.dumps({"file_name": name.removeprefix("train/"), "text": text})
        for name, text in zip(rows.files, rows.texts, strict=True)
    ]
    (world / "images/train/metadata.jsonl").write_text("\n".join(lines) + "\n")
    return world


def tasks(
    world: Path, store: Path, settings: FinetuneSettings, folder: Path | None = None, seed: int = 0
) -> list[Task]:
    """The tasks for captions, latents if they are stored, and weights, as planned."""
    spec = DatasetSpec(name="folder", argument=str(world / "images"))
    manifest = open_dataset(spec, Store(store).cache, Progress()).manifest
    common: dict[str, Any] = {"dataset": manifest.content_hash, "dataset_spec": spec}
    first = Task(
        kind=captions.KIND,
        stage="caption",
        plugin="file",
        settings=CaptionSettings(),
        facts={"image_px": 32},
        **common,
    )
    models = ModelSettings(diffusion=str(world / "base"))
    base, vae = (find.find(models, part, Store(store).cache) for part in ("diffusion", "autoencoder"))
    origin = str(folder or world / "base")
    latents = Task(
        kind=features.KIND,
        stage="encode",
        plugin=features.LATENTS,
        facts={
            "size_px": settings.resolution_px,
            "mirrored": settings.random_flip,
            "batch": settings.batch,
            "models": {"autoencoder": vae.sha256},
            "precision": "auto",
        },
        origins={"autoencoder": origin},
        **common,
    )
    unhashed = {features.LATENTS: latents} if settings.cache_latents else {}
    last = Task(
        kind=weights.KIND,
        stage="finetune",
        plugin="stable-diffusion",
        revision=REVISION,
        settings=settings,
        facts={"seed": seed, "models": {"diffusion": base.sha256}, "precision": "auto"},
        inputs={"captions": first, **unhashed},
        unhashed=tuple(unhashed),
        origins={"diffusion": origin},
        **common,
    )
    return [first, *unhashed.values(), last]


def make(made: Sequence[Task], root: Path) -> Path:
    store = Store(root)
    store.prepare()
    for task in made:
        execute(root, task, Progress())
    return store.folder(made[-1])


def test_the_artifact_is_complete_and_logs_are_separate(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    originals = ImageFolder.originals

    def counted(self: ImageFolder, split: str, indices: Sequence[int]) -> list[np.ndarray]:
        batches.append(len(indices))
        return originals(self, split, indices)

    monkeypatch.setattr(ImageFolder, "originals", counted)

    def images(*_: object) -> None:
        pytest.fail("all images were read at once")

    monkeypatch.setattr(ImageFolder, "images", images)
    snapshot = tmp_path / "hub" / "models--someone--sd" / "snapshots" / ("c" * 40)
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(world / "base")
    made = tasks(world, tmp_path, CACHED, snapshot)
    folder = make(made, tmp_path)
    assert max(batches) <= CACHED.batch  # never all in memory
    files = read_manifest(folder)["files"]
    assert {"model_index.json", "README.md", "log.jsonl"} <= set(files)
    assert f"someone/sd, revision {'c' * 40}" in (folder / "README.md").read_text()
    assert not list((tmp_path / "partial").iterdir())  # checkpoints are deleted


def test_a_full_disk_keeps_the_checkpoints(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uvlp.models.finetuning import checkpoints

    save = checkpoints.save

    def full(*given: object) -> None:
        if given[3] == 2:
            raise OSError(28, "No space left on device", str(tmp_path / "partial"))
        save(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoints, "save", full)
    made = tasks(world, tmp_path, SETTINGS)
    with pytest.raises(UvlpError) as caught:
        make(made, tmp_path)
    assert "No space left on device" in str(caught.value)
    partial = Store(tmp_path).partial(made[-1])
    assert (partial / "checkpoint-1").is_dir() and not (partial / "checkpoint-2").exists()


def test_one_process_per_gpu_is_launched(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, tuple[str, ...]]] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(
        launch, "launch", lambda job, folder, count, progress, cards: asked.append((count, tuple(cards)))
    )
    run(job(world, tmp_path), Progress())
    run(job(world, tmp_path), Progress(), ("GPU-1", "GPU-3"))
    assert asked == [(4, ()), (2, ("GPU-1", "GPU-3"))]
    command = launch.command(Path("job.json"), 4)
    assert command[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert command[-3:] == ["--module", "uvlp.models.finetuning.job", "job.json"]
    assert "--multi_gpu" in command and command[command.index("--num_processes") + 1] == "4"


@pytest.mark.slow
def test_a_run_resumes_with_two_processes_and_then_with_one(world: Path, tmp_path: Path) -> None:
    """Shares, gradients and checkpoints do not depend on the number of processes."""

    def until(epochs: int) -> Job:
        return replace(job(world, tmp_path / "changing", epochs=epochs, cache_latents=True), latents=latents)

    latents = with_latents(job(world, tmp_path / "encoded")).latents
    run(until(1), Progress())
    shutil.rmtree(tmp_path / "changing/folder")
    events: list[Event] = []
    made = until(2)
    launch.launch(made.to_json(), Path(made.partial), 2, Progress(events.append), cpu=True)
    assert [event.message for event in events if event.message][-1] == "resuming from checkpoint-2"
    assert [event.done for event in events if event.label == "updates"][-1] == 4
    shutil.rmtree(tmp_path / "changing/folder")
    run(until(3), Progress())
    alone_again = job(world, tmp_path / "alone", epochs=3, cache_latents=True)
    run(replace(alone_again, latents=latents), Progress())
    logs = [(tmp_path / name / "folder/log.jsonl").read_text() for name in ("changing", "alone")]
    changing, alone = ([json.loads(line)["loss"] for line in text.splitlines()] for text in logs)
    assert changing[:2] == alone[:2] and len(changing) == len(alone) == 6
    # Sums over processes are grouped differently: four updates, each through the entire network.
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "alone/folder", subfolder="unet")
    assert changing == pytest.approx(alone, rel=4 * rounding(depth(unet)))


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        ({"what": "no", "got": "1", "allowed": "2", "fix": None}, UvlpError, "no: got '1'; allowed: 2"),
        ({"text": "ValueError: no", "details": "lines"}, WorkerFailed, "ValueError: no"),
        (None, WorkerFailed, "exit code 3"),
    ],
)
def test_the_error_of_a_process_is_raised_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict | None, kind: type, expected: str
) -> None:
    """The launcher is replaced by a process that writes an error, prints noise and exits."""
    code = "print('noise'); import sys; sys.exit(3)"
    if content is not None:
        path = str(tmp_path / "error-1.json")
        code = f"import pathlib; pathlib.Path({path!r}).write_text({json.dumps(content)!r}); {code}"
    (tmp_path / "error-0.json").write_text("from an earlier run")
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", code])
    with pytest.raises(kind) as caught:
        launch.launch("{}", tmp_path, 2, Progress())
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_processes_see_the_reserved_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import json, os; "
        "print(json.dumps(dict(done=0, total=0, label='', message=os.environ['CUDA_VISIBLE_DEVICES'])))"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0")
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", code])
    seen: list[str] = []
    launch.launch(
        "{}", tmp_path, 2, Progress(lambda event: seen.append(event.message)), cards=("GPU-1", "GPU-3")
    )
    assert seen == ["GPU-1,GPU-3"] and os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-0"


def test_a_failing_process_writes_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str, progress: Progress) -> None:
        raise UvlpError("wrong", got=3) if text == "user" else RuntimeError("two\nlines")

    monkeypatch.setenv("RANK", "5")
    for text, expected in (
        ("user", {"what": "wrong", "got": "3"}),
        ("defect", {"text": "RuntimeError: two lines"}),
    ):
        (tmp_path / "job.json").write_text(text)
        with pytest.raises(SystemExit):
            launch.serve(tmp_path / "job.json", fail)
        written = json.loads((tmp_path / "error-5.json").read_text())
        assert expected.items() <= written.items()


def test_the_shares_of_the_processes_make_up_the_batch() -> None:
    for count in (1, 4, 29, 32):
        for processes in (1, 2, 3, 8):
            parts = [share(count, process, processes) for process in range(processes)]
            assert [row for part in parts for row in range(count)[part]] == list(range(count))
