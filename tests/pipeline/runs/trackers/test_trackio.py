"""Local runs of the real trackio, read from its database; skipped where it is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trackio", reason="trackio is not installed: pip install 'uvlp[trackers]'")
RUNS = """
import sys
from dataclasses import replace
from pathlib import Path

import numpy
from PIL import Image

from uvlp.pipeline.runs.tracker import Described
from uvlp.pipeline.runs.trackers.trackio import open_tracker

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
resumed = tracker.begin(replace(described, resumed=True))
resumed.log(3, {"loss": 1.5})
resumed.close()
"""
READ = """
import json, sys
import trackio
from trackio.sqlite_storage import SQLiteStorage

runs = {run.name: run.config for run in trackio.Api().runs("uvlp")}
print(json.dumps([runs, SQLiteStorage.get_logs("uvlp", "score-0-0a1b2c3d"), str(trackio.utils.MEDIA_DIR)]))
"""


def python(folder: Path, address: str, code: str, *arguments: str, **variables: str) -> str:
    """Run code with a database in ``folder`` and a token of the hub, which is at ``address``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRACKIO_")}
    environment |= {"TRACKIO_DIR": str(folder / "db"), "HF_HOME": str(folder), "HF_TOKEN": "hf_none"}
    environment |= {"HF_ENDPOINT": address, **variables}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def read(folder: Path, address: str) -> tuple[dict[str, Any], list[dict[str, Any]], Path]:
    runs, rows, media = json.loads(python(folder, address, READ))
    return runs, rows, Path(media)


@pytest.mark.parametrize(
    ("options", "variables"),
    [((), {}), (("--offline",), {"TRACKIO_SPACE_ID": "mine/space"})],
    ids=["local", "offline in place of a Space"],
)
def test_runs_are_in_the_local_database(
    options: tuple[str, ...], variables: dict[str, str], tmp_path: Path, unasked: str
) -> None:
    printed = python(tmp_path, unasked, RUNS, str(tmp_path), *options, "", **variables)
    assert printed == f"project uvlp in {tmp_path}/db; look at it with `trackio show --project uvlp`\n"
    runs, rows, media = read(tmp_path, unasked)
    assert set(runs) == {"score-0-0a1b2c3d", "score-1-00000002"}
    config = runs["score-0-0a1b2c3d"]
    assert config["recipe"] == {"dataset": "digits"} and config["_Group"] == "digits-ipc1"
    assert (config["title"], config["stage"]) == ("score 0", "evaluate")
    curve = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    assert curve == [(1, 2.5), (2, 2.0), (3, 1.5)]
    assert rows[0]["lr"] == 0.5
    [picture] = [row["images"] for row in rows if "images" in row]
    assert (media / picture["file_path"]).is_file()
