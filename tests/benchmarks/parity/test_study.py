"""The study resumes, keeps setups apart, and says what the numbers say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from scipy import stats

from benchmarks.parity.report import report
from benchmarks.parity.study import Setup, finished, run_missing
from uvlp.core.errors import UvlpError
from uvlp.recipes.evaluation import EvaluateSettings

SETUP = Setup(
    dataset="digits",
    ipc=1,
    network="convnet-1",
    settings=EvaluateSettings(size_px=8, width=4, epochs=2, validations=1, flip=0.0),
    device="cpu",
    workers=(1, 1),
)


def lines(shift: float, stretch: float, runs: int = 16) -> list[dict[str, Any]]:
    """Runs at the quantiles of a normal distribution, of which ours are shifted and stretched."""
    quantiles = stats.norm(0, 0.5).ppf((numpy.arange(runs) + 0.5) / runs)
    found = []
    for side, offset, factor in (("slow", 0.0, 1.0), ("ours", shift, stretch)):
        for number, value in enumerate(quantiles):
            pct = 95 + offset + factor * value
            line = {"side": side, "run": number, "best_pct": pct, "last_pct": pct, "processor_s": 1.0}
            found.append(line | {"commit": "abc"})
    return found


@pytest.mark.parametrize(
    ("shift", "stretch", "mean", "variance"),
    [(0, 1, True, True), (0.9, 1, False, True), (0, 5, False, False), (0, 2.5, True, False)],
)
def test_verdicts(shift: float, stretch: float, mean: bool, variance: bool) -> None:
    text = report(lines(shift, stretch), SETUP.facts(), "command")
    for quantity, holds in (("best: mean", mean), ("last: mean", mean), ("best: variance", variance)):
        (row,) = (line for line in text.splitlines() if quantity in line)
        assert row.endswith("| holds |" if holds else "| **does not hold** |"), row


def test_few_runs_are_not_judged() -> None:
    text = report(lines(0, 1, runs=7), SETUP.facts(), "command")
    assert "too few to judge" in text and "Welch" in text and "| holds |" not in text


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    first = {"side": "slow", "run": 0, "setup": SETUP.facts()}
    path.write_text(json.dumps(first) + "\n")
    run_missing(path, SETUP, runs=2, processes=1, at_most=1)
    again, ours = finished(path, SETUP)
    assert again == first
    assert (ours["side"], ours["run"], len(ours["curve"]), ours["setup"]) == ("ours", 0, 1, SETUP.facts())
    assert ours["best_pct"] == ours["last_pct"] > 0 and ours["best_epoch"] == 2
    with pytest.raises(UvlpError, match=r"study.jsonl holds runs of other settings; choose another --name"):
        finished(path, replace(SETUP, ipc=2))
