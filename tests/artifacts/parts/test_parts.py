"""Parts of an artifact: made once by whatever number of jobs, verified, resumed, never of another run."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flipping import flip
from uvlp.artifacts.parts.parts import MARK, PLAN, Parts, Plan, Share
from uvlp.core.errors import UvlpError

KEY, OTHER_KEY = "0123456789abcdef", "fedcba9876543210"
HERE = Plan(items=11, batch=2, size=4, device="cpu", dtype="float32")
MESSAGES: list[str] = []


@pytest.fixture(autouse=True)
def no_messages() -> None:
    MESSAGES.clear()


def opened(folder: Path, key: str = KEY) -> Parts:
    return Parts(folder, key, MESSAGES.append)


def make(parts: Parts, plan: Plan, todo: list[range]) -> None:
    for part in todo:
        with parts.making(part, plan) as unfinished:
            for batch in plan.batches(part):
                (unfinished.folder / "deep").mkdir(exist_ok=True)
                (unfinished.folder / "deep" / f"{batch.start}.txt").write_text(str(list(batch)))
            unfinished.counts["batches"] += len(plan.batches(part))


def made(folder: Path, plan: Plan = HERE) -> Parts:
    """Return all parts, made by one job."""
    parts = opened(folder)
    make(parts, parts.begin(plan), parts.missing(plan, Share()))
    return parts


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_plan_cuts_items_into_whole_batches() -> None:
    assert HERE.parts(Share()) == [range(4), range(4, 8), range(8, 11)]
    assert HERE.parts(Share(1, 2)) == [range(4, 8)] and HERE.parts(Share(4, 5)) == []
    assert HERE.batches(range(8, 11)) == [range(8, 10), range(10, 11)]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_parts_do_not_depend_on_the_number_of_jobs(tmp_path: Path, count: int) -> None:
    made(tmp_path / "alone")
    for index in reversed(range(count)):
        parts = opened(tmp_path / "shared")
        make(parts, parts.begin(HERE), parts.missing(HERE, Share(index, count)))
    assert content(tmp_path / "shared") == content(tmp_path / "alone")
    parts = opened(tmp_path / "shared")
    assert parts.missing(HERE, Share()) == [] and parts.counts() == {"batches": 6}
    assert parts.leading(HERE) == HERE.parts(Share())
    assert not list((tmp_path / "shared").rglob(".*"))


def test_parts_of_the_slowest_job_are_taken_from_its_end(tmp_path: Path) -> None:
    plan, share = replace(HERE, items=36), Share(0, 3)  # parts at 0, 12, 24 | 4, 16, 28 | 8, 20, 32
    parts = opened(tmp_path)
    assert parts.of_slowest(parts.begin(plan), share) == range(28, 32)
    make(parts, plan, [range(4, 8)])
    assert parts.of_slowest(plan, share) == range(32, 36)
    with opened(tmp_path).making(range(32, 36), plan):
        assert parts.of_slowest(plan, share) == range(28, 32), "another process makes the other one"
    make(parts, plan, [part for part in plan.parts(Share()) if part.start % 12])
    assert parts.of_slowest(plan, share) is None, "only parts of its own are left"


def test_the_plan_of_the_first_job_is_followed(tmp_path: Path) -> None:
    first = opened(tmp_path).begin(HERE)
    assert opened(tmp_path).begin(replace(HERE, batch=4)) == first == HERE
    assert opened(tmp_path).plan() == HERE


def test_a_part_that_fails_leaves_nothing(tmp_path: Path) -> None:
    parts = opened(tmp_path)
    parts.begin(HERE)
    with pytest.raises(KeyboardInterrupt), parts.making(range(4), HERE) as unfinished:
        (unfinished.folder / "half").write_text("x")
        raise KeyboardInterrupt
    assert {path.name for path in tmp_path.rglob("*")} == {"parts", PLAN, MARK}
    assert parts.missing(HERE, Share()) == HERE.parts(Share())


def test_of_two_processes_that_make_a_part_the_first_wins(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.begin(HERE)
    with one.making(range(4), HERE) as late:
        (late.folder / "text").write_text("same")
        make(other, HERE, [range(4)])
    expected = content(tmp_path / "parts" / "00000000")
    assert "deep/0.txt" in expected and one.counts() == {"batches": 2}
    assert not list(tmp_path.rglob(".*")) and MESSAGES == []


@pytest.mark.parametrize("name", ["deep/4.txt", "deep/6.txt", MARK])
@pytest.mark.parametrize("defect", ["flipped", "missing"])
def test_a_damaged_part_is_reported_and_made_again(tmp_path: Path, name: str, defect: str) -> None:
    made(tmp_path)
    before = content(tmp_path)
    path = tmp_path / "parts" / "00000004" / name
    flip(path) if defect == "flipped" else path.unlink()
    parts = opened(tmp_path)
    missing = parts.missing(HERE, Share())
    assert missing == [range(4, 8)] and len(MESSAGES) == 1 and "item 5" in MESSAGES[0]
    make(parts, HERE, missing)
    assert content(tmp_path) == before and not list(tmp_path.rglob(".*"))


def test_of_two_processes_that_replace_a_damaged_part_the_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    before, rename, others = content(tmp_path), os.rename, [opened(tmp_path)]
    flip(tmp_path / "parts" / "00000004" / MARK)

    def late(source: Path, target: Path) -> None:
        rename(source, target)
        if source.name == "00000004" and others:  # just moved away
            make(others.pop(), HERE, [range(4, 8)])

    parts = opened(tmp_path)
    missing = parts.missing(HERE, Share())
    monkeypatch.setattr(os, "rename", late)
    make(parts, HERE, missing)
    assert others == [] and content(tmp_path) == before and not list(tmp_path.rglob(".*"))


def test_a_share_does_not_look_at_the_parts_of_others(tmp_path: Path) -> None:
    made(tmp_path)
    flip(tmp_path / "parts" / "00000004" / "deep" / "4.txt")
    assert opened(tmp_path).missing(HERE, Share(0, 2)) == [] and MESSAGES == []


def test_a_missing_part_is_made_again_alone(tmp_path: Path) -> None:
    made(tmp_path)
    shutil.rmtree(tmp_path / "parts" / "00000008")
    parts = opened(tmp_path)
    assert parts.missing(HERE, Share()) == [range(8, 11)] and MESSAGES == []
    assert parts.leading(HERE) == [range(4), range(4, 8)]


@pytest.mark.parametrize("change", [{"device": "NVIDIA H200"}, {"dtype": "float16"}])
def test_parts_of_another_device_are_refused_and_kept(tmp_path: Path, change: dict[str, str]) -> None:
    elsewhere = replace(HERE, **change)  # type: ignore[arg-type]
    made(tmp_path, elsewhere)
    before = content(tmp_path)
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path).begin(HERE)
    assert (caught.value.got, caught.value.allowed) == (
        f"{elsewhere.device}, {elsewhere.dtype}",
        "cpu, float32",
    )
    assert elsewhere.device in str(caught.value.fix) and content(tmp_path) == before


def test_one_part_of_another_device_is_refused_by_name(tmp_path: Path) -> None:
    made(tmp_path / "gpu", replace(HERE, device="NVIDIA H200"))
    made(tmp_path / "cpu")
    target = tmp_path / "cpu" / "parts" / "00000004"
    shutil.rmtree(target)
    shutil.copytree(tmp_path / "gpu" / "parts" / "00000004", target)
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path / "cpu").missing(HERE, Share())
    assert "00000004" in caught.value.what and caught.value.got == "NVIDIA H200, float32"
    assert target.is_dir()


def test_a_plan_without_parts_does_not_bind_another_device(tmp_path: Path) -> None:
    opened(tmp_path).begin(replace(HERE, device="NVIDIA H200", batch=4))
    assert opened(tmp_path).begin(HERE) == HERE == opened(tmp_path).plan()


@pytest.mark.parametrize("name", [PLAN, "00000004"])
def test_parts_of_another_artifact_are_refused_and_kept(tmp_path: Path, name: str) -> None:
    made(tmp_path)
    other = opened(tmp_path / "other", OTHER_KEY)
    make(other, other.begin(HERE), HERE.parts(Share()))
    target = tmp_path / "parts" / name
    shutil.rmtree(target)
    shutil.copytree(tmp_path / "other" / "parts" / name, target)
    parts = opened(tmp_path)
    with pytest.raises(UvlpError) as caught:
        parts.missing(parts.begin(HERE), Share())
    assert (caught.value.got, caught.value.allowed) == (OTHER_KEY, KEY)
    assert str(target) in caught.value.what and target.is_dir()


def test_a_damaged_plan_is_that_of_the_parts(tmp_path: Path) -> None:
    made(tmp_path)
    flip(tmp_path / "parts" / PLAN / MARK)
    assert opened(tmp_path).begin(replace(HERE, batch=1, size=1)) == HERE


def test_parts_with_other_batches_are_made_again(tmp_path: Path) -> None:
    made(tmp_path)
    smaller = replace(HERE, batch=1)
    parts = opened(tmp_path)
    assert parts.missing(smaller, Share(0, 3)) == [range(4)] and len(MESSAGES) == 1
    make(parts, smaller, [range(4)])
    assert opened(tmp_path).missing(smaller, Share(0, 3)) == []


def test_parts_of_earlier_versions_are_discarded_with_one_line(tmp_path: Path) -> None:
    for name in ("shards.json", "mean.npy", "00000000.jsonl", "latents.float16", "checkpoint-3"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "train" / "0").mkdir(parents=True)
    opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"] and len(MESSAGES) == 1
