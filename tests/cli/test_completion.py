"""What the tab key completes, and the version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from tests.stored_tables import put_table
from uvlp import __version__
from uvlp.cli import completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_the_names(shell: str) -> None:
    line = "uvlp reproduce image"
    variables = {"_UVLP_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    variables |= {"COMP_WORDS": line, "COMP_CWORD": "2", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    command = [sys.executable, "-c", "import sys; sys.argv = ['uvlp']; from uvlp.cli.app import main; main()"]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
    names = {"imagenette", "imagewoof", "imagenet100", "imageidc"}
    assert all(name in ran.stdout for name in names) and "digits" not in ran.stdout, ran.stderr


def test_the_last_of_several_names_is_completed() -> None:
    assert completion.methods("random,uv") == ["random,uvlp"]
    assert "uvlp:no-outliers" in completion.methods("uvlp:no")
    assert completion.methods("nothing:x") == []
    assert "convnet-3,resnet-18" in completion.networks("convnet-3,resnet-1")
    assert "resnet18_modified" in completion.networks("resnet18")
    assert completion.datasets("cifar") == ["cifar10", "cifar100"]


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["uvlp", "--version"])
    from uvlp.cli import app

    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code and capsys.readouterr().out == f"uvlp {__version__}\n"


def test_a_table_for_programs(call: Call, tmp_path: Path) -> None:
    put_table(tmp_path / "store")
    code, out, errors = call("table", "digits-ipc10", "--json")
    assert code == 0, errors
    assert json.loads(out)["cells"][0]["best"]["mean_pct"] > 0
    code, out, _ = call("table", "nette-idc", "--json")
    cells = json.loads(out)["cells"]
    assert code == 0 and all(cell["measured"] is None and cell["mean_pct"] > 0 for cell in cells)
    code, _, errors = call("table", "nette-idc", "--json", "--format", "csv")
    assert code == 2 and "--json prints the whole table" in errors
