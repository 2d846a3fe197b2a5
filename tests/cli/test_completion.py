"""What the tab key completes, and the version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.cli.caption_forms import Call
from tests.stored_tables import put_table
from uvlp import __version__
from uvlp.cli import bash_words, completion
from uvlp.cli.app import app


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_the_names(shell: str) -> None:
    line = "uvlp reproduce image"
    variables = {"_UVLP_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    variables |= {"COMP_WORDS": line, "COMP_CWORD": "2", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    command = [sys.executable, "-c", "import sys; sys.argv = ['uvlp']; from uvlp.cli.app import main; main()"]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, check=False)
    names = {"imagenette", "imagewoof", "imagenet100", "imageidc"}
    assert all(name in ran.stdout for name in names) and "digits" not in ran.stdout, ran.stderr


UVLP = """#!/bin/sh
exec '{python}' -c "import sys; sys.argv[0] = 'uvlp'; from uvlp.__main__ import main; main()" "$@"
"""
TAB = """
eval "$(_UVLP_COMPLETE=source_bash uvlp)"
for line in "$@"; do
    IFS=' ' read -ra COMP_WORDS <<< "$line"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _uvlp_completion uvlp
    (IFS=' '; echo "${COMPREPLY[*]}")
done
"""


def test_bash_completes_by_the_script_that_it_is_given(tmp_path: Path) -> None:
    """Words are separated here as bash does it: a colon or an equals sign is a word."""
    put_table(tmp_path / "store")
    program = tmp_path / "bin" / "uvlp"
    program.parent.mkdir()
    program.write_text(UVLP.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    expected = {
        "uvlp table digits-i": "digits-ipc10",
        "uvlp explain uvlp : no-ou": "no-outliers",
        "uvlp reproduce digits 10 --method = random,uvlp : no-ou": "no-outliers",
        "uvlp reproduce --from tables/": " ".join(
            f"tables/{path.name}" for path in sorted((tmp_path / "store" / "tables").iterdir())
        ),
    }
    variables = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    variables |= {"UVLP_STORE": str(tmp_path / "store"), "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        ["bash", "--norc", "-c", TAB, "bash", *expected],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split("\n")[:-1] == list(expected.values()), ran.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(shell: str) -> None:
    variables = os.environ | {"_UVLP_COMPLETE": f"source_{shell}"}
    command = [sys.executable, "-c", "import sys; sys.argv = ['uvlp']; from uvlp.cli.app import main; main()"]
    ran = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert "_UVLP_COMPLETE" in ran.stdout and f"complete_{shell}" in ran.stdout, ran.stderr


@pytest.mark.parametrize(
    ("words", "number", "joined"),
    [
        (["uvlp", "explain", "uvlp", ":", "no"], 4, (["uvlp", "explain", "uvlp:no"], 2, "uvlp:")),
        (["uvlp", "explain", "uvlp", ":"], 3, (["uvlp", "explain", "uvlp:"], 2, "uvlp:")),
        (["uvlp", "x", "--a", "=", "b"], 4, (["uvlp", "x", "--a=b"], 2, "--a=")),
        (["uvlp", "x", "a", ":", "b", "c"], 5, (["uvlp", "x", "a:b", "c"], 3, "")),
        (["uvlp", "x"], 2, (["uvlp", "x"], 2, "")),
    ],
)
def test_words_that_bash_splits_are_joined(
    words: list[str], number: int, joined: tuple[list[str], int, str]
) -> None:
    assert bash_words.join_words(words, number) == joined


def context(**values: object) -> typer.Context:
    found: Any = typer.main.get_command(app)
    made: typer.Context = found.make_context("uvlp", ["list"], resilient_parsing=True)
    made.params = dict(values)
    return made


def test_what_the_store_and_a_run_have_is_completed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    put_table(store)
    here = context(store=str(store))
    assert completion.tables(here, "digits") == ["digits-ipc10"]
    assert completion.artifacts(here, "digits") == ["digits-ipc10"]
    assert {"scores/", "tables/"} <= set(completion.artifacts(here, ""))
    assert len(completion.artifacts(here, "scores/")) == 4 and not completion.artifacts(here, "no/")
    assert completion.images(context(store=str(tmp_path / "none")), "") == []
    assert completion.runs(here, "") == []
    assert completion.ipcs(context(dataset="imagenette"), "") == ["1", "10", "20", "50"]
    assert completion.images_to_score("baseline:vl") == ["baseline:vlcp"] and not completion.images_to_score(
        "v"
    )
    found = completion.settings(context(dataset="digits", methods=["uvlp"]), "uvlp.top_k")
    assert found == ["uvlp.top_k=0"]
    assert completion.settings(context(dataset="nothing"), "") == []


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
