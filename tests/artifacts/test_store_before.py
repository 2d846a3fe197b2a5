"""A store of earlier code is read completely: only its table is rebuilt, nothing in it changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from uvlp.stages import tabulate

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


def test_only_the_table_of_an_earlier_store_is_rebuilt(store: Path) -> None:
    """Its text has another form since; the numbers in it are the same."""
    before = contents(store)
    (folder,) = (store / "tables").iterdir()
    made = uvlp(*CALL, "--json", store=store)
    assert made.returncode == 0, made.stderr
    result = json.loads(made.stdout)
    assert result["made"] == 1, made.stderr
    assert made.stderr.count("rebuilt:") == 1
    assert f"its code has revision {tabulate.REVISION}, in the store 1" in made.stderr
    kept = json.loads((folder / "table.json").read_bytes())
    assert len(kept["cells"]) == 2
    assert result["table"]["cells"] == [{**cell, "soft_label_mb": None} for cell in kept["cells"]]
    after = contents(store)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"tables"}


def test_table_of_an_earlier_store_is_printed_with_its_numbers(store: Path) -> None:
    (folder,) = (store / "tables").iterdir()
    kept = (folder / "table.md").read_text(encoding="utf-8")
    (row,) = [
        line for line in kept.splitlines() if re.fullmatch(r"\| UVLP +(\| [\d.]+ ± [\d.]+ +){2}\|", line)
    ]
    assert row in uvlp("table", "digits-ipc1-nano", store=store).stdout
    assert row in uvlp("table", f"tables/{folder.name}", "--full", store=store).stdout
    assert row in uvlp(*CALL, store=store).stdout
