"""A store of earlier code is read completely: nothing is rebuilt, nothing changes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ARCHIVE = Path(__file__).parent.parent / "golden" / "stores" / "digits_ipc1_nano.tar.xz"
SHA256 = "cca4f68f1167ad3c8148b0d5f30f27e6eb980514f6db1376d305228bcef63c26"
CALL = ("reproduce", "digits", "1", "--profile", "nano", "--method", "random,uvlp", "--workers", "1")
KINDS = ("captions", "distilled", "pixels", "prototypes", "scores", "tables")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    assert hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() == SHA256
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "digits_ipc1_nano"


def uvlp(*arguments: str, store: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UVLP_")}
    command = [sys.executable, "-m", "uvlp", *arguments, "--store", str(store)]
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=300, env=environment, check=False
    )


def contents(store: Path) -> dict[str, bytes]:
    """Return every file of every artifact, including manifests."""
    files = [path for kind in KINDS for path in sorted((store / kind).rglob("*")) if path.is_file()]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in files}


def test_artifacts_of_an_earlier_store_are_not_rebuilt(store: Path) -> None:
    before = contents(store)
    (folder,) = (store / "tables").iterdir()
    made = uvlp(*CALL, "--json", store=store)
    assert made.returncode == 0, made.stderr
    result = json.loads(made.stdout)
    assert result["made"] == 0, made.stderr
    assert "rebuilt" not in made.stderr
    kept = json.loads((folder / "table.json").read_bytes())
    assert {"schema": 2, **result["table"]} == kept and len(kept["cells"]) == 2
    assert contents(store) == before


def test_table_of_an_earlier_store_is_printed_as_in_its_file(store: Path) -> None:
    (folder,) = (store / "tables").iterdir()
    kept = (folder / "table.md").read_text(encoding="utf-8")
    assert uvlp("table", "digits-ipc1-nano", store=store).stdout == kept
    shown = uvlp(*CALL, store=store).stdout.partition("\nArtifacts in ")[0]
    assert "| UVLP " in shown and kept.startswith(shown)
