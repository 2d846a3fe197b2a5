"""A run that is tracked: its curves are those of its scores, and its artifacts those of any run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from uvlp.artifacts import distilled, scores
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import read_manifest

pytestmark = pytest.mark.slow
RUN = ("reproduce", "digits", "2", "--method", "random,dm", "--profile", "nano", "--repeats", "1")


def reproduce(store: Path, *options: str) -> str:
    """Run the chain; return what it reports on standard error, without spaces: lines are wrapped."""
    command = [sys.executable, "-m", "uvlp", *RUN, "--workers", "1", "--store", str(store), *options]
    printed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stderr
    return "".join(printed.split())


def content(store: Path) -> dict[str, object]:
    """The hashes of every artifact's files, but those of its table, which count seconds."""
    manifests = [path.parent for path in store.glob("*/*/manifest.json")]
    return {
        path.relative_to(store).as_posix(): read_manifest(path)["files"]
        for path in manifests
        if path.parent.name != "tables"
    }


def test_curves_are_those_of_the_scores(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    printed = reproduce(tmp_path / "tracked", "--report-to", "tensorboard")
    logs = tmp_path / "tracked" / "logs" / "tensorboard"
    assert f"tensorboard:eventfilesin{logs};" in printed
    reproduce(tmp_path / "plain")
    assert content(tmp_path / "tracked") == content(tmp_path / "plain")
    store = Store(tmp_path / "tracked")
    runs = {path.name.rpartition("-")[0]: EventAccumulator(str(path)).Reload() for path in logs.glob("*/*")}
    assert set(runs) == {
        *("random-images-seed-0", "dm-images-seed-0"),
        *(f"{name}-scored-by-convnet-3-seed-0-repeat-1" for name in ("random", "dm")),
    }
    curves = [scores.read(path).curve for path in (store.root / scores.KIND).iterdir()]
    for name, run in runs.items():
        [recipe] = run.Tensors("recipe/text_summary")
        assert '"profile": "nano"' in recipe.tensor_proto.string_val[0].decode()
        if "scored" in name:
            curve = tuple((each.step, pytest.approx(each.value)) for each in run.Scalars("accuracy_pct"))
            assert curve in curves and len(run.Scalars("loss")) == 2
        else:
            [image] = run.Images("images")
            sheets = [path / distilled.SHEET for path in (store.root / distilled.KIND).iterdir()]
            assert image.encoded_image_string in [path.read_bytes() for path in sheets]
    assert [each.step for each in runs["dm-images-seed-0"].Scalars("loss")] == [1, 2]
    again = reproduce(tmp_path / "tracked", "--report-to", "tensorboard")
    assert "tensorboard:everyartifactisfinished,sothereisnothingtoreport" in again
