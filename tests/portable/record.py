"""Run with `--portable` in empty stores and record the SHA-256 of all artifacts.

`python -m tests.portable.record` does all runs (16 minutes for the digits, on two busy cores); `python -m
tests.portable.record nano` does one. tests/portable/test_hashes.py compares with the records.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.portable.hashes import manifests, of_store

FOLDER = Path(__file__).resolve().parents[2] / "paper_tables" / "measured" / "portable"
METHODS = "full,random,k-center,herding,d4m,vlcp,uvlp"
RUNS = {
    "nano": f"reproduce digits 2 --profile nano --portable --method {METHODS},dit,minimax",
    "nano-rded": "reproduce digits 2 --profile nano --portable --protocol rded --method random,rded,sre2l",
    "digits": f"reproduce digits 10 --portable --method {METHODS}",
}


def run(name: str, store: Path, *options: str, program: Sequence[str] = ("uvlp",), **environment: str) -> str:
    """Return the output of run ``name`` in another process; ``environment`` is added to this one's."""
    arguments = [*RUNS[name].split(), "--store", str(store), *options]
    return subprocess.run(
        [sys.executable, "-m", *program, *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout


def machine(store: Path) -> dict[str, Any]:
    """Return the processor, C library and packages that built the store."""
    names = ("vendor_id", "model name", "cpu family", "model", "stepping")
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = dict(line.replace("\t", "").split(": ", 1) for line in lines if ": " in line)
    made = manifests(store)[0]["made"]["versions"]
    return {
        "processor": {name: facts[name] for name in names if name in facts},
        "libc": " ".join(platform.libc_ver()),
        "versions": {name: version for name, version in made.items() if name != "uvlp"},
    }


def record(name: str) -> None:
    """Do a run and write its record."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        run(name, store)
        content = {"command": f"uvlp {RUNS[name]}", "made_by": machine(store), "files": of_store(store)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RUNS:
        record(chosen)
