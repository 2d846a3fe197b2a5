"""`--portable` gives the committed bytes in every environment.

This holds for equal packages and an equal C library; with others the comparison is skipped.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.portable.hashes import first_difference, of_store
from tests.portable.record import FOLDER, RUNS, machine, run
from uvlp.core import portable

HOSTILE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "OMP_NUM_THREADS": "2",
    "MKL_CBWR": "AUTO",
    "DNNL_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "GLIBC_TUNABLES": "glibc.malloc.check=0",
}


def recorded(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content


def compare(name: str, store: Path) -> None:
    """Fail with the first stage that differs from the committed hashes."""
    expected, here = recorded(name), machine(store)
    recorded_with, run_with = (
        {**by, "versions": portable.deciding(by["versions"])} for by in (expected["made_by"], here)
    )
    for what in ("libc", "versions"):
        if recorded_with[what] != run_with[what]:
            pytest.skip(f"recorded with {recorded_with[what]}, here with {run_with[what]}")
    assert first_difference(expected["files"], of_store(store)) == ""


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the store of the nano run, and its output."""
    store = tmp_path_factory.mktemp("nano") / "store"
    return store, run("nano", store)


@pytest.mark.slow
def test_a_nano_run_gives_the_committed_bytes(nano: tuple[Path, str]) -> None:
    compare("nano", nano[0])


@pytest.mark.long
def test_pieces_give_the_committed_bytes(tmp_path: Path) -> None:
    output = run("nano", tmp_path, program=("tests.portable.in_pieces", "3"))
    assert "21 pieces" in output  # of two features, and the images of five methods
    compare("nano", tmp_path)


@pytest.mark.slow
def test_a_hostile_environment_changes_no_byte(nano: tuple[Path, str], tmp_path: Path) -> None:
    run("nano", tmp_path, "--workers", "1", **HOSTILE)
    assert first_difference(of_store(nano[0]), of_store(tmp_path)) == ""


@pytest.mark.slow
def test_a_note_of_the_table_names_the_c_library(nano: tuple[Path, str]) -> None:
    notes = [line for line in nano[1].splitlines() if line.startswith("- made with --portable")]
    assert len(notes) == 1 and machine(nano[0])["libc"] in notes[0]


@pytest.mark.slow
def test_a_training_can_be_repeated_only_with_the_same_option(nano: tuple[Path, str]) -> None:
    arguments = [each for each in RUNS["nano"].split() if each != "--portable"]
    command = [sys.executable, "-m", "uvlp", *arguments, "--store", str(nano[0]), "--rerun", "2"]
    again = subprocess.run([*command, "--portable"], capture_output=True, text=True, check=False)
    assert again.returncode == 0 and "bit for bit" in again.stdout, again.stderr
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "--rerun" in other.stderr


@pytest.mark.long
def test_the_other_protocol_gives_the_committed_bytes(tmp_path: Path) -> None:
    run("nano-rded", tmp_path)
    compare("nano-rded", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("environment", [{}, HOSTILE], ids=["as-it-is", "hostile"])
def test_the_digits_give_the_committed_bytes(tmp_path: Path, environment: dict[str, str]) -> None:
    run("digits", tmp_path, **environment)
    compare("digits", tmp_path)


def test_committed_hashes_are_those_of_the_runs() -> None:
    names = {path.stem for path in FOLDER.glob("*.json")}
    assert {"nano", "nano-rded"} <= names
    for name in names:
        content = recorded(name)
        assert content["command"] == f"uvlp {RUNS[name]}", f"record {name} again"
        assert content["made_by"]["libc"].startswith("glibc ")
        assert "tabulate" in content["files"]
