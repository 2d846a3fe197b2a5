"""`--portable`: the committed bytes, whatever the environment says.

The promise is for equal packages and an equal C library; with others the comparison is left out, and says so.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.portable.hashes import first_difference, of_store
from tests.portable.record import FOLDER, RUNS, machine, run

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
    for what in ("libc", "versions"):
        if expected["made_by"][what] != here[what]:
            pytest.skip(f"recorded with {expected['made_by'][what]}, here is {here[what]}")
    assert first_difference(expected["files"], of_store(store)) == ""


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The store of the nano run, and what the run printed."""
    store = tmp_path_factory.mktemp("nano") / "store"
    return store, run("nano", store)


@pytest.mark.slow
def test_a_nano_run_makes_the_committed_bytes(nano: tuple[Path, str]) -> None:
    compare("nano", nano[0])


@pytest.mark.slow
def test_a_hostile_environment_changes_no_byte(nano: tuple[Path, str], tmp_path: Path) -> None:
    run("nano", tmp_path, "--workers", "1", **HOSTILE)
    assert first_difference(of_store(nano[0]), of_store(tmp_path)) == ""


@pytest.mark.slow
def test_the_c_library_stands_under_the_table(nano: tuple[Path, str]) -> None:
    notes = [line for line in nano[1].splitlines() if line.startswith("- made with --portable")]
    assert len(notes) == 1 and machine(nano[0])["libc"] in notes[0]


@pytest.mark.slow
def test_a_training_can_be_repeated_and_only_with_the_same_option(nano: tuple[Path, str]) -> None:
    words = [word for word in RUNS["nano"].split() if word != "--portable"]
    command = [sys.executable, "-m", "uvlp", *words, "--store", str(nano[0]), "--rerun", "2"]
    again = subprocess.run([*command, "--portable"], capture_output=True, text=True, check=False)
    assert again.returncode == 0 and "bit for bit" in again.stdout, again.stderr
    other = subprocess.run(command, capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "--rerun" in other.stderr


@pytest.mark.slow
def test_the_other_protocol_makes_the_committed_bytes(tmp_path: Path) -> None:
    run("nano-rded", tmp_path)
    compare("nano-rded", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("environment", [{}, HOSTILE], ids=["as-it-is", "hostile"])
def test_the_digits_make_the_committed_bytes(tmp_path: Path, environment: dict[str, str]) -> None:
    run("digits", tmp_path, **environment)
    compare("digits", tmp_path)


def test_the_first_stage_that_differs_is_named() -> None:
    expected = {"caption": {"captions": {"a": "1"}}, "embed": {"features": {"b": "2", "c": "3"}}}
    assert first_difference(expected, expected) == ""
    changed = {"caption": {"captions": {"a": "1"}}, "embed": {"features": {"b": "2", "c": "4"}}}
    named = first_difference(expected, changed)
    assert named.startswith("embed is the first stage that differs: features: c;")
    assert first_difference(expected, {"embed": expected["embed"]}).startswith("caption is the first")
    more = {**expected, "tabulate": {"table": {"d": "5"}}}
    assert first_difference(expected, more).startswith("tabulate is the first")


def test_committed_hashes_are_those_of_the_runs() -> None:
    names = {path.stem for path in FOLDER.glob("*.json")}
    assert {"nano", "nano-rded"} <= names
    for name in names:
        content = recorded(name)
        assert content["command"] == f"uvlp {RUNS[name]}", f"record {name} again"
        assert content["made_by"]["libc"].startswith("glibc ")
        assert "tabulate" in content["files"]
