"""An interrupted fine-tuning, also with damaged checkpoints, gives the result of an uninterrupted one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.flipping import flip
from tests.models.finetuning.finetuning_jobs import PICTURES, bytes_of, job, kill, killed_at, make_world
from uvlp.core.progress import Progress
from uvlp.models.finetuning import output
from uvlp.models.finetuning.job import Job, run

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module", autouse=True)
def short_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "STEPS", 2)
        yield


@pytest.fixture(scope="module")
def whole(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of an uninterrupted run with pictures."""
    root = tmp_path_factory.mktemp("whole")
    run(job(world, root, **PICTURES), Progress())
    return root / "folder"


@pytest.fixture
def every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvlp.core.progress.REPORT_EVERY_S", 0.0)


@pytest.mark.slow
def test_a_resumed_run_gives_equal_bytes_and_another_seed_others(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    """Order, draws, average and optimiser are resumed after two interruptions."""
    killed = job(world, tmp_path, **PICTURES)
    kill(killed, 1)
    kill(killed, 3)
    run(killed, Progress())
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)
    other = Job.from_json(killed.to_json().replace('"seed": 0', '"seed": 1'))
    assert other.seed == 1
    shutil.rmtree(tmp_path / "partial")
    shutil.rmtree(tmp_path / "folder")
    (tmp_path / "partial").mkdir()
    run(other, Progress())
    assert bytes_of(tmp_path / "folder")[UNET] != bytes_of(whole)[UNET]


def test_a_damaged_checkpoint_is_reported_and_an_earlier_one_used(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    kill(job(world, tmp_path, **PICTURES), 4)
    names = sorted(path.name for path in (tmp_path / "partial").glob("checkpoint-*"))
    assert names == ["checkpoint-3", "checkpoint-4"]  # two are kept
    file = tmp_path / "partial" / "checkpoint-4" / "optimizer.bin"
    file.write_bytes(file.read_bytes()[:-10])
    (tmp_path / "partial" / "half-checkpoint-5").mkdir()
    messages: list[str] = []
    # Another checkpoint interval does not change the result.
    run(job(world, tmp_path, **PICTURES, checkpointing_steps=3), killed_at(0, messages))
    assert messages[-2].startswith("checkpoint-4 is damaged (optimizer.bin)")
    assert messages[-1] == "resuming from checkpoint-3"
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)
    assert not (tmp_path / "partial" / "half-checkpoint-5").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "files.json", "log.jsonl", "average.safetensors"])
def test_a_checkpoint_with_a_flipped_bit_is_not_loaded(
    world: Path, whole: Path, tmp_path: Path, every_event: None, name: str
) -> None:
    interrupted = job(world, tmp_path, **PICTURES)
    kill(interrupted, 4)
    flip(tmp_path / "partial/checkpoint-4" / name)
    messages: list[str] = []
    run(interrupted, killed_at(0, messages))
    assert messages[-2].startswith(f"checkpoint-4 is damaged ({name})")
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)


def test_a_damaged_picture_is_drawn_again_from_an_earlier_checkpoint(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    interrupted = job(world, tmp_path, **PICTURES)
    kill(interrupted, 3)
    flip(tmp_path / "partial/validation/epoch-1.png")
    messages: list[str] = []
    run(interrupted, killed_at(0, messages))
    assert [line.split(" (")[0] for line in messages if "damaged" in line] == [
        "checkpoint-3 is damaged",
        "checkpoint-2 is damaged",
    ]
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)


def test_a_renamed_checkpoint_is_not_loaded(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    interrupted = job(world, tmp_path, **PICTURES)
    kill(interrupted, 2)
    (tmp_path / "partial/checkpoint-2").rename(tmp_path / "partial/checkpoint-3")
    run(interrupted, Progress())
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)
