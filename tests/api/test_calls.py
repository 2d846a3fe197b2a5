"""Runs from Python: results, silence, progress, scripts without a guard, threads, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uvlp
from uvlp.core.progress import Event

REPOSITORY = Path(__file__).resolve().parents[2]
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(20) % 10
NANO: dict[str, Any] = {"profile": "nano", "repeats": 1, "workers": 1}


def run_script(folder: Path, text: str, *arguments: str) -> subprocess.Popen[str]:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, str(path), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_images_are_distilled_scored_and_found_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    events: list[Event] = []
    images = uvlp.distil("digits", 2, method="random", store=tmp_path, progress=events.append, **NANO)
    assert images.images.shape[0] == 20 and images.images.dtype == np.uint8
    assert list(images.labels) == [label for label in range(10) for _ in range(2)]
    assert images.classes[:2] == ["zero", "one"] and list(images.to_frame()["label"]) == list(images.labels)
    assert "<img " in images._repr_html_() and images.plot().to_dict()["mark"]["type"] == "image"
    assert any(event.label == "artifacts" and event.done == event.total for event in events)
    result = uvlp.evaluate(images, dataset="digits", name="drawn", store=tmp_path, **NANO)
    again = uvlp.evaluate(
        images.images, images.labels, dataset="digits", name="drawn", store=tmp_path, **NANO
    )
    assert list(result.to_frame()["method"])[1:] == ["random"]
    assert [cell.best_pct for cell in result.table.cells] == [cell.best_pct for cell in again.table.cells]
    assert "drawn" in result._repr_html_() and result.plot().to_dict()["layer"]
    store = uvlp.Store(tmp_path)
    assert (
        result.artifact.startswith("tables/")
        and len(store.tables) == 2
        and "random-seed-0" in str(store.images)
    )
    assert len(store.image_set("random-seed-0")) == 20 and "random-seed-0" in store._repr_html_()
    found = uvlp.table(result.artifact, store=store)
    assert str(found) == str(result)
    assert capfd.readouterr() == ("", ""), "nothing is printed unless asked"


@pytest.mark.slow
def test_a_result_can_be_run_again_from_its_config_and_its_artifact(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = uvlp.evaluate(PIXELS, LABELS, dataset="digits", store=tmp_path / "store", progress=True, **NANO)
    assert "done " in capfd.readouterr().err, "as on the command line"
    (tmp_path / "run.toml").write_text(result.config(), encoding="utf-8")
    again = uvlp.evaluate(None, config=tmp_path / "run.toml", store=tmp_path / "store")
    assert again.artifact == result.artifact and again.table == result.table
    assert uvlp.reproduce(artifact=result.artifact, store=tmp_path / "store").table == result.table
    command = [sys.executable, "-m", "uvlp", "evaluate", "--config", "run.toml", "--store", "store", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["made"] == 0
    assert json.loads(ran.stdout)["table"]["cells"][0]["best_pct"] == list(result.table.cells[0].best_pct)


def test_a_published_table_is_a_frame_and_a_chart(tmp_path: Path) -> None:
    table = uvlp.table("nette-idc", store=tmp_path)
    frame = table.to_frame()
    assert {"method", "published_mean", "measured_mean"} <= set(frame.columns) and len(frame) > 10
    assert "published_mean" in table._repr_html_() and table.plot().to_dict()["encoding"]


SCRIPT = """
import sys, threading
import uvlp
from uvlp import UvlpError

def work():
    try:
        how = dict(profile="nano", repeats=2, workers=2, store="store")
        table = uvlp.reproduce("digits", 1, method="random", **how)
        print(len(table.to_frame()))
    except UvlpError as error:
        print("error", error)

if sys.argv[1] == "thread":
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
else:
    work()
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_script_needs_no_guard_and_a_thread_no_main(tmp_path: Path, where: str) -> None:
    script = run_script(tmp_path, SCRIPT, where)
    out, err = script.communicate(timeout=300)
    assert (script.returncode, out, err) == (0, "2\n", "")


INTERRUPTED = """
import signal
import uvlp
# A shell starts what runs in the background with SIGINT ignored; Python then leaves it so.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    uvlp.reproduce(
        "digits", 1, method="random", network="convnet-3", repeats=40, workers=2, store="store",
        set={"evaluate.epochs": 200}, profile="nano",
        progress=lambda event: print(event.label, event.done, flush=True),
    )
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [True, False], ids=["terminal", "kernel alone"])
def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path, whole_group: bool) -> None:
    script = run_script(tmp_path, INTERRUPTED)
    assert script.stdout is not None
    lines = iter(script.stdout.readline, "")
    next(line for line in lines if line.startswith("artifacts ") and int(line.split()[1]) >= 2)
    (os.killpg if whole_group else os.kill)(script.pid, signal.SIGINT)
    out, err = script.communicate(timeout=120)
    assert script.returncode == 0 and "interrupted" in out and err == "", err
    with pytest.raises(ProcessLookupError):  # no process of its group is left
        for _ in range(100):
            os.killpg(script.pid, 0)
            time.sleep(0.1)
    finished = list((tmp_path / "store").glob("*/*/manifest.json"))
    assert len(finished) >= 2 and not list((tmp_path / "store" / "tables").glob("*"))


def test_the_package_imports_nothing_before_it_is_used() -> None:
    code = "import sys, uvlp; print(sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert [name for name in eval(ran.stdout) if name.startswith("uvlp")] == ["uvlp"]
    assert {*uvlp.__all__} <= {*dir(uvlp)}
    assert (REPOSITORY / "uvlp" / "py.typed").is_file()
    with pytest.raises(AttributeError):
        uvlp.evalute  # type: ignore[attr-defined]  # noqa: B018
