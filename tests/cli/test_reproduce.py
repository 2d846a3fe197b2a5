"""The complete chain at profile nano: two steps everywhere, real data, real (tiny) models."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pretend_cards import Driver, cards
from uvlp.artifacts import distilled, prototypes
from uvlp.artifacts.task import MANIFEST

pytestmark = pytest.mark.slow
Finished = tuple[Path, dict[str, Any]]

METHODS = "full,random,k-center,herding,d4m,vlcp,uvlp"
CLASSES, IPC = 3, 2


def uvlp(*arguments: str, store: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command line in a separate process, as a user would."""
    result = subprocess.run(
        [sys.executable, "-m", "uvlp", *arguments, "--store", str(store)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if check:
        assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def call_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Arguments of `reproduce` on a small folder of drawn images, nano, one worker."""
    root = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for label in range(CLASSES):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 80, (32, 32, 3), dtype=np.uint8)
                pixels[8 * label : 8 * label + 12, :, label] += 150
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return ["reproduce", f"folder:{root}", str(IPC), "--profile", "nano", "--workers", "1"]


def contents(store: Path) -> dict[str, bytes]:
    """Return the bytes of every file of every artifact, without manifests and their times."""
    files = {}
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store)
        if path.is_file() and not name.parts[0].startswith(".") and path.name != MANIFEST:
            files[str(name)] = path.read_bytes()
    return files


@pytest.fixture(scope="module")
def finished(call_arguments: list[str], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A store with every method, and the JSON output of the run."""
    store = tmp_path_factory.mktemp("finished") / "store"
    return store, json.loads(uvlp(*call_arguments, "--method", METHODS, "--json", store=store).stdout)


def test_every_method_has_a_cell_with_all_trainings(finished: Finished) -> None:
    cells = finished[1]["table"]["cells"]
    assert [cell["method"] for cell in cells] == METHODS.split(",")
    assert all(len(cell["best_pct"]) == len(cell["scores"]) == 2 for cell in cells)
    pairs = [pair for cell in cells for pair in zip(cell["last_pct"], cell["best_pct"], strict=True)]
    assert all(0 <= last <= best <= 100 for last, best in pairs)


def test_every_class_has_ipc_images(finished: Finished) -> None:
    store, result = finished
    for title, name in result["artifacts"].items():
        if name.startswith("distilled/"):
            labels = [entry.label for entry in distilled.read_entries(store / name)]
            expected = 8 if title == "full images" else IPC
            assert [labels.count(label) for label in range(CLASSES)] == [expected] * CLASSES
            assert (store / name / distilled.SHEET).stat().st_size > 500


def test_second_call_computes_nothing_and_prints_the_same(
    finished: Finished, call_arguments: list[str]
) -> None:
    store, first = finished
    before = contents(store)
    again = json.loads(uvlp(*call_arguments, "--method", METHODS, "--json", store=store).stdout)
    assert again.pop("made") == 0 and again == {name: first[name] for name in first if name != "made"}
    assert contents(store) == before


def test_cards_do_not_change_a_byte(
    finished: Finished, call_arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On pretended cards, so that a worker sees one, and torch none."""
    Driver(tmp_path, monkeypatch).install(cards(3))
    store = tmp_path / "store"
    ran = uvlp(*call_arguments[:-1], "2", "--method", "random,uvlp", store=store)
    assert "3 GPUs: 0, 1, 2" in ran.stderr
    made = {name: data for name, data in contents(store).items() if not name.startswith("tables/")}
    assert made and made.items() <= contents(finished[0]).items()


def test_ablations_reuse_what_was_reproduced(
    finished: Finished, call_arguments: list[str], tmp_path: Path
) -> None:
    """The method's own images and scores are those of `reproduce`; a second call makes nothing."""
    first, store = finished[1], tmp_path / "store"
    shutil.copytree(finished[0], store)
    call = ("ablate", "vlcp", *call_arguments[1:])
    made = json.loads(uvlp(*call, "--json", store=store).stdout)
    assert made["made"] == 5, "prototypes, images, two scores and the table"
    assert made["artifacts"]["vlcp images, seed 0"] == first["artifacts"]["vlcp images, seed 0"]
    compared = made["table"]["comparisons"]
    assert {(one["method"], one["reference"]) for one in compared} == {("vlcp", "vlcp:no-outliers")}
    again = json.loads(uvlp(*call, "--json", store=store).stdout)
    assert again.pop("made") == 0 and again == {name: made[name] for name in made if name != "made"}
    assert made["table"]["ablations"] == {"vlcp:no-outliers": "without the removal of outliers"}
    uvlp("verify", made["table"]["name"], store=store)


def test_second_call_imports_no_model_library(finished: Finished, call_arguments: list[str]) -> None:
    arguments = ["uvlp", *call_arguments, "--method", METHODS, "--store", str(finished[0])]
    code = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from uvlp.cli import app as cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted(set(sys.modules) & {'torch', 'sklearn', 'numpy', 'diffusers'}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_prototypes_record_their_origin(finished: Finished) -> None:
    store, result = finished
    latents, rows = prototypes.read(store / result["artifacts"]["uvlp prototypes, seed 0"])
    assert latents.shape == (CLASSES * IPC, 4, 8, 8)
    assert all(set(row.latent_members) <= set(row.members) for row in rows)
    assert all("cluster_alpha" in row.details for row in rows)


def test_diffusers_pipeline_loads_the_weights(finished: Finished) -> None:
    from diffusers import StableDiffusionPipeline

    store, result = finished
    folder = store / result["artifacts"]["diffuser, seed 0"]
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert pipeline.unet.config.in_channels == 4


@pytest.mark.usefixtures("every_core")
def test_two_workers_give_the_same_bytes_as_one(
    finished: Finished, call_arguments: list[str], tmp_path: Path
) -> None:
    uvlp(*call_arguments, "--method", METHODS, "--workers", "2", store=tmp_path)
    assert contents(tmp_path) == contents(finished[0])


def test_other_seed_gives_other_results(
    finished: Finished, call_arguments: list[str], tmp_path: Path
) -> None:
    arguments = (*call_arguments, "--json", "--seed", "1", "--method", "uvlp,random")
    result = json.loads(uvlp(*arguments, store=tmp_path).stdout)
    for kind in ("uvlp prototypes", "uvlp images", "random images"):
        old = contents(finished[0] / finished[1]["artifacts"][f"{kind}, seed 0"])
        new = contents(tmp_path / result["artifacts"][f"{kind}, seed 1"])
        assert set(old) == set(new) and any(old[name] != new[name] for name in old), kind
    curves = [
        sorted(p.read_text() for p in store.glob("scores/*/score.json")) for store in (finished[0], tmp_path)
    ]
    assert not set(curves[1]) & set(curves[0])


@pytest.mark.parametrize("seen", ["weights/*", "scores/*"])
def test_killed_run_resumes_to_the_same_bytes(
    finished: Finished, call_arguments: list[str], tmp_path: Path, seen: str
) -> None:
    arguments = [*call_arguments, "--method", METHODS]
    command = [sys.executable, "-m", "uvlp", *arguments, "--store", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob(seen)) and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert contents(tmp_path) != contents(finished[0])
    uvlp(*arguments, store=tmp_path)
    assert contents(tmp_path) == contents(finished[0])


def test_two_processes_can_share_a_store(
    finished: Finished, call_arguments: list[str], tmp_path: Path
) -> None:
    arguments = [*call_arguments, "--method", "random,uvlp", "--store", str(tmp_path)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "uvlp", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    output = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], output
    assert "waiting: another uvlp process is making" in "".join(output)
    expected, actual = contents(finished[0]), contents(tmp_path)
    assert all(actual[name] == expected[name] for name in actual if not name.startswith("tables/"))


@pytest.mark.parametrize("artifact", ["diffuser, seed 0", "uvlp images, seed 0"])
def test_damaged_artifact_is_rebuilt_only_with_force(
    finished: Finished, call_arguments: list[str], tmp_path: Path, artifact: str
) -> None:
    store = tmp_path / "copy"
    shutil.copytree(finished[0], store)
    arguments = [*call_arguments, "--method", METHODS]
    name = finished[1]["artifacts"][artifact]
    files = [path for path in (store / name).rglob("*") if path.is_file() and path.name != MANIFEST]
    victim = max(files, key=lambda path: path.stat().st_size)
    original = victim.read_bytes()
    victim.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    result = uvlp(*arguments, store=store, check=False)
    assert result.returncode == 2
    assert f"damaged artifact {name}" in result.stderr
    assert victim.name in result.stderr and "--force" in result.stderr and victim.read_bytes() != original
    uvlp(*arguments, "--force", store=store)
    assert victim.read_bytes() == original


def test_missing_captions_are_counted_under_the_table(call_arguments: list[str], tmp_path: Path) -> None:
    root = tmp_path / "images"
    shutil.copytree(call_arguments[1].removeprefix("folder:"), root)
    rows = [{"file_name": f"class{n}/{i}.png", "text": f"thing {n}"} for n in range(3) for i in range(6)]
    (root / "train" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = ["--method", "vlcp", "--missing-captions", "empty"]
    printed = uvlp("reproduce", f"folder:{root}", *call_arguments[2:], *more, store=tmp_path / "store").stdout
    assert "VLCP: 6 missing captions" in printed


def test_stage_command_stops_after_its_stage(tmp_path: Path) -> None:
    uvlp("caption", "digits", "2", "--profile", "nano", store=tmp_path)
    kinds = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert kinds == {"captions", "datasets", "uvlp_store.json"}


def test_dry_run_computes_nothing(tmp_path: Path) -> None:
    arguments = ("reproduce", "digits", "2", "--profile", "nano", "--method", "random,uvlp", "--dry-run")
    result = uvlp(*arguments, store=tmp_path)
    assert "15 of 15 artifacts to make" in result.stdout
    assert not (tmp_path / "weights").exists()


def test_table_command_prints_the_table_of_the_run(finished: Finished) -> None:
    store, result = finished
    printed = uvlp("table", result["table"]["name"], store=store).stdout
    assert result["table"]["caption"] in printed
    assert (
        r"\begin{tabular}" in uvlp("table", result["table"]["name"], "--format", "latex", store=store).stdout
    )
