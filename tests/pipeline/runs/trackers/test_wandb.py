"""Offline runs of the real wandb, read from its own files; skipped where it is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb.sdk", reason="wandb is not installed: pip install 'uvlp[trackers]'")
BLOCK_BYTES, HEADER_BYTES, LAST_PARTS = 2**15, 7, (1, 4)
"""The log format of LevelDB: records in blocks, in parts that begin with checksum, length and kind."""
RUNS = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy
from PIL import Image

from uvlp.pipeline.runs.tracker import Described
from uvlp.pipeline.runs.trackers.wandb import open_tracker

folder, offline = Path(sys.argv[1]), sys.argv[2] == "--offline"
image = numpy.zeros((4, 6, 3), dtype=numpy.uint8)
Image.fromarray(image).save(folder / "picture.png")
tracker = open_tracker(folder / "logs", offline)
print(tracker.where)
described = Described(
    id="0a1b2c3d", resumed=False, title="score 0", group="digits-ipc1", stage="evaluate",
    config={"recipe": {"dataset": "digits"}},
)
first, second = tracker.begin(described), tracker.begin(replace(described, id="00000002", title="score 1"))
first.log(1, {"loss": 2.5, "lr": 0.5})
second.log(1, {"loss": 7.5})
first.log(2, {"loss": 2.0})
first.picture("images", folder / "picture.png", 2)
first.close()
second.close()
"""


def run_offline(folder: Path, address: str, *options: str, **variables: str) -> str:
    """Report two runs at once, with W&B's server at ``address``; return what is printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"HOME": str(folder), "WANDB_BASE_URL": address, **variables}
    command = [sys.executable, "-c", RUNS, str(folder), *options, ""]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def records(file: Path) -> Iterator[Any]:
    """Yield the records of a `.wandb` file."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, parts = file.read_bytes(), HEADER_BYTES, b""
    while place + HEADER_BYTES <= len(data):
        left = BLOCK_BYTES - place % BLOCK_BYTES
        if left < HEADER_BYTES:
            place += left
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        place += HEADER_BYTES
        parts, place = parts + data[place : place + length], place + length
        if kind in LAST_PARTS:
            yield Record.FromString(parts)
            parts = b""


def values(item: Any) -> tuple[str, Any]:
    return "/".join(item.nested_key) or item.key, json.loads(item.value_json)


def check_first_run(root: Path) -> None:
    [file] = root.glob("wandb/offline-run-*/run-0a1b2c3d.wandb")
    found = list(records(file))
    [run] = [each.run for each in found if each.HasField("run")]
    assert (run.project, run.display_name) == ("uvlp", "score 0")
    assert (run.run_group, run.job_type) == ("digits-ipc1", "evaluate")
    assert ("recipe", {"dataset": "digits"}) in [values(each) for each in run.config.update]
    rows = [dict(map(values, each.history.item)) for each in found if each.HasField("history")]
    assert [(row["_step"], row["loss"]) for row in rows] == [(1, 2.5), (2, 2.0)]
    assert rows[0]["lr"] == 0.5
    picture = file.parent / "files" / rows[1]["images/path"]
    assert picture.read_bytes() == (file.parents[3] / "picture.png").read_bytes()


def test_offline_runs_have_curves_pictures_and_recipe(tmp_path: Path, unasked: str) -> None:
    printed = run_offline(tmp_path, unasked, "--offline", WANDB_API_KEY="0" * 40)
    sync = f"`wandb sync {tmp_path}/logs/wandb/offline-run-*` sends them"
    assert printed == f"offline, nothing is sent: {sync}\n"
    check_first_run(tmp_path / "logs")


def test_without_a_login_runs_stay_here(tmp_path: Path, unasked: str) -> None:
    printed = run_offline(tmp_path, unasked)
    assert printed.startswith("not logged in (`wandb login`), nothing is sent")
    check_first_run(tmp_path / "logs")


def test_its_own_variables_count(tmp_path: Path, unasked: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    own = {"WANDB_MODE": "offline", "WANDB_DIR": str(elsewhere), "WANDB_API_KEY": "0" * 40}
    printed = run_offline(tmp_path, unasked, **own)
    assert printed.startswith("offline, nothing is sent")
    assert not (tmp_path / "logs").exists()
    assert len(list(elsewhere.glob("wandb/offline-run-*/*.wandb"))) == 2
