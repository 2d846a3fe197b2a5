"""`uvlp evaluate FILE`: a file of tensors is scored, verified, and refused where it does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.caption_forms import Call
from tests.cli.test_evaluate import CLASSES, draw

LABELS = np.array([0, 1, 2, 0, 1, 2])
WIDE = np.random.default_rng(0).normal(0, 1, (6, 3, 16, 16)).astype(np.float32)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A dataset of three classes, and a file of two float images of each with class indices."""
    for split, count, seed in (("train", 6, 0), ("val", 5, 1)):
        for label, name in enumerate(CLASSES):
            draw(tmp_path / "data" / split / name, label, count, seed)
    np.savez(tmp_path / "syn.npz", images=WIDE, labels=LABELS)
    logits = np.random.default_rng(1).normal(0, 1, (6, 3)).astype(np.float32)
    np.savez(tmp_path / "soft.npz", images=WIDE, labels=logits)
    dataset = f"folder:{tmp_path}/data"
    return [
        "evaluate",
        str(tmp_path / "syn.npz"),
        "--dataset",
        dataset,
        "--profile",
        "nano",
        "--workers",
        "1",
    ]


@pytest.mark.slow
def test_a_file_is_a_row_of_the_table_and_passes_every_check(
    arguments: list[str], call: Call, tmp_path: Path
) -> None:
    likely = np.array([[0.8, 0.1, 0.1]] * 3 + [[0.1, 0.8, 0.1]] * 2 + [[0.1, 0.1, 0.8]], np.float32)
    np.savez(tmp_path / "likely.npz", images=WIDE, labels=likely)
    arguments.insert(2, str(tmp_path / "likely.npz"))
    code, output, errors = call(*arguments, "--normalised", "none", "--json")
    assert code == 0, errors
    result = json.loads(output)
    assert [cell["title"] for cell in result["table"]["cells"]] == ["syn.npz", "likely.npz", "Random"]
    assert result["ipc"] == 2 and "0 is ant, 1 is bee, 2 is cow" in errors
    assert any("likely.npz: trained on the soft labels" in note for note in result["table"]["notes"])
    (tmp_path / "syn.npz").unlink()
    (tmp_path / "likely.npz").unlink()
    code, output, errors = call("verify")
    assert code == 0, output + errors
    code, _, errors = call("export", result["artifacts"]["images of syn.npz"], "--out", str(tmp_path / "out"))
    assert code == 2 and "cannot hold" in errors and not (tmp_path / "out").exists()
    code, _, errors = call("report", result["table"]["name"], "--out", str(tmp_path / "report.html"))
    assert code == 0, errors


def test_wrong_files_are_refused_in_one_line(arguments: list[str], call: Call, tmp_path: Path) -> None:
    soft = ["--label-kind", "logits", "--temperature", "2", "--normalised", "none"]
    cases: list[tuple[str, list[str], str]] = [
        ("syn.npz", [], "float images outside [0, 1]"),
        ("syn.npz", ["--normalised", "1"], "--normalised has another number of values"),
        ("soft.npz", [*soft, "--protocol", "rded"], "learns the labels of its teacher"),
        ("soft.npz", ["--normalised", "none"], "soft labels that are no probabilities"),
        ("none.npz", [], "not found"),
        ("syn.pkl", [], "a format that is not read"),
    ]
    (tmp_path / "syn.pkl").write_bytes(b"")
    for name, more, what in cases:
        arguments[1] = str(tmp_path / name)
        code, _, errors = call(*arguments, *more)
        lines = [line for line in errors.split("\n") if line and not line.startswith("note")]
        assert code == 2 and len(lines) == 1 and what in lines[0], errors


def test_what_was_stated_is_read_back_from_a_config(arguments: list[str], call: Call, tmp_path: Path) -> None:
    stated = ["--layout", "nchw", "--normalised", "0,1", "--label-kind", "logits", "--temperature", "0.5"]
    code, output, errors = call(*arguments, *stated, "--print-config", "--format", "toml")
    assert code == 0, errors
    for line in ('layout = "nchw"', 'normalised = "0,1"', 'label_kind = "logits"', "temperature = 0.5"):
        assert line in output
    (tmp_path / "config.toml").write_text(output, encoding="utf-8")
    config = ["evaluate", "--config", str(tmp_path / "config.toml"), "--print-config", "--format", "toml"]
    assert call(*config)[1] == output


def test_statements_apply_to_every_file_and_need_one(
    arguments: list[str], call: Call, tmp_path: Path
) -> None:
    np.savez(tmp_path / "more.npz", images=WIDE[::-1], labels=LABELS[::-1])
    code, _, errors = call(*arguments, str(tmp_path / "more.npz"), "--normalised", "none", "--dry-run")
    assert code == 0 and "--normalised: used for all 2 files of tensors" in errors, errors
    code, _, errors = call(*arguments, "--normalised", "none", "--dry-run")
    assert code == 0 and "used for all" not in errors
    arguments[1] = str(tmp_path / "data" / "train")
    code, _, errors = call(*arguments, "--layout", "nchw", "--temperature", "2", "--label-kind", "logits")
    lines = [line for line in errors.split("\n") if line and not line.startswith("note")]
    assert code == 2 and len(lines) == 1, errors
    assert "--layout, --label-kind, --temperature: there is no file of tensors" in lines[0]
