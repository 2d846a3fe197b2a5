"""`--dry-run --gpu`: the estimate for a card that is not here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uvlp.cli import app

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run `uvlp reproduce imagenette 10` in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        where = ["--store", str(tmp_path / "store"), "--data", str(tmp_path / "data")]
        monkeypatch.setattr(sys, "argv", ["uvlp", "reproduce", "imagenette", "10", *arguments, *where])
        with pytest.raises(SystemExit) as end:
            app.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


def test_a_memory_size_says_what_fits_and_no_time(call: Call) -> None:
    code, out, _ = call("--dry-run", "--gpu", "24GB", "--json")
    estimate = json.loads(out)["estimate"]
    assert code == 0 and estimate["total"]["seconds"] is None
    fits = {fit["stage"]: fit for fit in estimate["fits"]}
    assert fits["finetune"]["used_batch"] == 4 and fits["caption"]["used_batch"] == 16
    assert all(fit["used_bytes"] <= 24e9 for fit in fits.values())


def test_a_named_card_has_a_time(call: Call) -> None:
    code, out, _ = call("--dry-run", "--gpu", "a100:8")
    assert code == 0 and "8 x NVIDIA A100 40 GB" in out and "unknown" not in out
    code, _, err = call("--dry-run", "--gpu", "a100:8", "--gpus-per-finetune", "9")
    assert code == 2 and "allowed: 1 to 8" in err, "as on a machine that has them"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gpu", "24GB"), ("--gpu without --dry-run", "24GB")),
        (("--dry-run", "--gpu", "rtx-4091"), ("unknown card", "rtx-4090", "24GB")),
        (("--dry-run", "--gpu", "h200:x"), ("the number of cards", "h200:x")),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    call: Call, arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    code, out, err = call(*arguments)
    assert code == 2 and not out and len(err.splitlines()) == 1
    assert all(word in err for word in words), err
    assert not (tmp_path / "store").exists()
