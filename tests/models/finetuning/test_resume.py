"""A fine-tuning that is killed, or whose checkpoints are damaged, ends as one that never was."""

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
    """An uninterrupted run with pictures."""
    place = tmp_path_factory.mktemp("whole")
    run(job(world, place, **PICTURES), Progress())
    return place / "folder"


@pytest.fixture
def every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvlp.core.progress.REPORT_EVERY_S", 0.0)


@pytest.mark.slow
def test_equal_inputs_give_equal_bytes_and_another_seed_others(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    """A run that is killed twice ends as one that never was: order, draws, average and optimiser go on."""
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


def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    made = job(world, tmp_path, **PICTURES)
    kill(made, 4)
    found = sorted(path.name for path in (tmp_path / "partial").glob("checkpoint-*"))
    assert found == ["checkpoint-3", "checkpoint-4"]  # two are kept
    file = tmp_path / "partial" / "checkpoint-4" / "optimizer.bin"
    file.write_bytes(file.read_bytes()[:-10])
    (tmp_path / "partial" / "half-checkpoint-5").mkdir()
    said: list[str] = []
    # Other checkpoints are no other result.
    run(job(world, tmp_path, **PICTURES, checkpointing_steps=3), killed_at(0, said))
    assert said[-2:] == [
        "checkpoint-4 is damaged (optimizer.bin): going on from the one before",
        "going on from checkpoint-3",
    ]
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)
    assert not (tmp_path / "partial" / "half-checkpoint-5").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "files.json", "log.jsonl", "average.safetensors"])
def test_a_flipped_bit_in_a_checkpoint_is_never_trained_on(
    world: Path, whole: Path, tmp_path: Path, every_event: None, name: str
) -> None:
    made = job(world, tmp_path, **PICTURES)
    kill(made, 4)
    flip(tmp_path / "partial/checkpoint-4" / name)
    said: list[str] = []
    run(made, killed_at(0, said))
    assert said[-2].startswith(f"checkpoint-4 is damaged ({name})")
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)


def test_a_flipped_bit_in_a_picture_is_drawn_again_by_training_from_before_it(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    made = job(world, tmp_path, **PICTURES)
    kill(made, 3)
    flip(tmp_path / "partial/validation/epoch-1.png")
    said: list[str] = []
    run(made, killed_at(0, said))
    assert [line.split(" (")[0] for line in said if "damaged" in line] == [
        "checkpoint-3 is damaged",
        "checkpoint-2 is damaged",
    ]
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)


def test_a_checkpoint_of_another_step_is_not_taken_up(
    world: Path, whole: Path, tmp_path: Path, every_event: None
) -> None:
    made = job(world, tmp_path, **PICTURES)
    kill(made, 2)
    (tmp_path / "partial/checkpoint-2").rename(tmp_path / "partial/checkpoint-3")
    run(made, Progress())
    assert bytes_of(tmp_path / "folder") == bytes_of(whole)
