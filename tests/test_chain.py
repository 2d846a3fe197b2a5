"""The whole chain at profile nano: two steps everywhere, real data, real (tiny) models."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from uvlp.artifacts import distilled, manifest

METHODS = "full,random,k-center,herding,d4m,vlcp,uvlp"


def uvlp(*words: str, store: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, as a user would."""
    result = subprocess.run(
        [sys.executable, "-m", "uvlp", *words, "--store", str(store)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


def nano(
    store: Path, *more: str, methods: str = METHODS, check: bool = True
) -> subprocess.CompletedProcess[str]:
    words = ("reproduce", "digits", "2", "--profile", "nano", "--method", methods, *more)
    return uvlp(*words, store=store, check=check)


def contents(store: Path) -> dict[str, bytes]:
    """Bytes of every file of every artifact, without manifests and their times."""
    found = {}
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store)
        if path.is_file() and not name.parts[0].startswith(".") and path.name != manifest.FILE:
            found[str(name)] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A store with every method, and the JSON that the run printed."""
    store = tmp_path_factory.mktemp("finished") / "store"
    return store, json.loads(nano(store, "--json").stdout)


def test_every_method_gets_a_cell_with_all_its_trainings(finished: tuple[Path, dict[str, Any]]) -> None:
    cells = finished[1]["table"]["cells"]
    assert [cell["method"] for cell in cells] == METHODS.split(",")
    assert all(len(cell["best_pct"]) == len(cell["scores"]) == 2 for cell in cells)
    assert all(
        0 <= last <= best <= 100
        for c in cells
        for best, last in zip(c["best_pct"], c["last_pct"], strict=True)
    )


def test_every_class_gets_exactly_ipc_images(finished: tuple[Path, dict[str, Any]]) -> None:
    store, result = finished
    for title, name in result["artifacts"].items():
        if name.startswith("distilled/"):
            labels = [entry.label for entry in distilled.read_entries(store / name)]
            assert title == "full images" or all(labels.count(label) == 2 for label in range(10))
            assert (store / name / distilled.SHEET).stat().st_size > 500


def test_a_second_call_makes_nothing_and_prints_the_same(finished: tuple[Path, dict[str, Any]]) -> None:
    store, first = finished
    before = contents(store)
    again = json.loads(nano(store, "--json").stdout)
    assert again.pop("made") == 0 and again == {
        name: value for name, value in first.items() if name != "made"
    }
    assert contents(store) == before


def test_a_second_call_imports_no_model_library(finished: tuple[Path, dict[str, Any]]) -> None:
    code = (
        "import sys; sys.argv = ['uvlp', 'reproduce', 'digits', '2', '--profile', 'nano', '--method', "
        f"{METHODS!r}, '--store', {str(finished[0])!r}]\n"
        "from uvlp import cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted(set(sys.modules) & {'torch', 'sklearn', 'numpy', 'diffusers'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_prototypes_say_where_they_come_from(finished: tuple[Path, dict[str, Any]]) -> None:
    from uvlp.artifacts import prototypes

    store, result = finished
    latents, rows = prototypes.read(store / result["artifacts"]["uvlp prototypes, seed 0"])
    assert latents.shape == (20, 4, 8, 8)
    assert all(set(row.latent_members) <= set(row.members) for row in rows)
    assert all("cluster_alpha" in row.details for row in rows)


def test_a_plain_pipeline_loads_the_weights(finished: tuple[Path, dict[str, Any]]) -> None:
    from diffusers import StableDiffusionPipeline

    store, result = finished
    folder = store / result["artifacts"]["diffuser, seed 0"]
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert pipeline.unet.config.in_channels == 4


def test_two_stores_with_one_seed_are_equal_byte_for_byte(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    nano(tmp_path / "other", "--workers", "1")
    assert contents(tmp_path / "other") == contents(finished[0])


def test_another_seed_gives_other_prototypes_images_and_scores(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    result = json.loads(nano(tmp_path, "--json", "--seed", "1", methods="uvlp,random").stdout)
    first = finished[1]["artifacts"]
    for kind in ("uvlp prototypes", "uvlp images", "random images"):
        old = contents(finished[0] / first[f"{kind}, seed 0"])
        new = contents(tmp_path / result["artifacts"][f"{kind}, seed 1"])
        assert set(old) == set(new) and any(old[name] != new[name] for name in old), kind


@pytest.mark.parametrize("delay_s", [6.0, 10.0, 14.0])
def test_a_killed_run_continues_to_the_same_bytes(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, delay_s: float
) -> None:
    words = ("reproduce", "digits", "2", "--profile", "nano", "--method", METHODS, "--store", str(tmp_path))
    process = subprocess.Popen([sys.executable, "-m", "uvlp", *words], stderr=subprocess.DEVNULL)
    time.sleep(delay_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    nano(tmp_path)
    assert contents(tmp_path) == contents(finished[0])


def test_two_processes_on_one_store_both_finish(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    words = (
        "reproduce",
        "digits",
        "2",
        "--profile",
        "nano",
        "--method",
        "random,uvlp",
        "--store",
        str(tmp_path),
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "uvlp", *words, "--workers", "1"], stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "waiting: another uvlp process is making" in "".join(said)
    expected = contents(finished[0])
    found = contents(tmp_path)
    assert all(found[name] == expected[name] for name in found if not name.startswith("tables/"))


def copy_of(store: Path, place: Path) -> Path:
    shutil.copytree(store, place, symlinks=True)
    return place


@pytest.mark.parametrize("artifact", ["diffuser, seed 0", "uvlp images, seed 0", "captions"])
def test_a_damaged_artifact_is_named_and_rebuilt_only_with_force(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, artifact: str
) -> None:
    store = copy_of(finished[0], tmp_path / "copy")
    folder = store / finished[1]["artifacts"][artifact]
    victim = max(
        (p for p in folder.rglob("*") if p.name != manifest.FILE and p.is_file()),
        key=lambda p: p.stat().st_size,
    )
    original = victim.read_bytes()
    victim.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    result = nano(store, check=False)
    assert result.returncode == 2
    assert f"damaged artifact {finished[1]['artifacts'][artifact]}" in result.stderr
    assert victim.name in result.stderr and "--force" in result.stderr and victim.read_bytes() != original
    nano(store, "--force")
    assert victim.read_bytes() == original


def test_a_stage_command_stops_after_its_stage(tmp_path: Path) -> None:
    uvlp("caption", "digits", "2", "--profile", "nano", store=tmp_path)
    kinds = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert kinds == {"captions", "datasets"}


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    result = uvlp("reproduce", "digits", "2", "--profile", "nano", "--dry-run", store=tmp_path)
    assert "22 of 22 artifacts to make" in result.stdout
    assert not (tmp_path / "weights").exists()


def test_the_table_command_prints_what_the_run_printed(finished: tuple[Path, dict[str, Any]]) -> None:
    store, result = finished
    printed = uvlp("table", "digits-ipc2", store=store).stdout
    assert result["table"]["caption"] in printed
    assert r"\begin{tabular}" in uvlp("table", "digits-ipc2", "--format", "latex", store=store).stdout
