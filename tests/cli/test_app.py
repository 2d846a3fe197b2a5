"""Commands without computations: list, doctor, table, --print-config."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from tests.other_packages import importable, install
from tests.stored_tables import put_table
from uvlp.cli import app
from uvlp.cli.command import HOW, OUTPUT, WHAT
from uvlp.cli.findings import installation
from uvlp.core import portable

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("methods", "uvlp"),
        ("datasets", "folder"),
        ("protocols", "rded"),
        ("networks", "resnet-ap-DEPTH"),
        ("networks", "resnet18_modified"),
        ("captioners", "llava"),
    ],
)
def test_list_prints_names_with_descriptions(call: Call, group: str, name: str) -> None:
    code, out, _ = call("list", group)
    line = next(line for line in out.splitlines() if line.startswith(f"{name} "))
    assert code == 0 and len(line.split(maxsplit=1)[1]) > 20


def test_list_shows_the_package_of_a_plugin(call: Call, tmp_path: Path) -> None:
    text = '"""Mine: as another one does."""\n'
    install(tmp_path, "else-where", {"else_where.py": text}, {"methods": {"mine": "else_where"}}, "2.1")
    with importable(tmp_path):
        _, out, _ = call("list", "methods")
    (line,) = [line for line in out.splitlines() if line.startswith("mine ")]
    assert line.endswith("Mine: as another one does. [else-where 2.1]")


def test_list_as_json(call: Call) -> None:
    assert set(json.loads(call("list", "methods", "--json")[1])) >= {"d4m", "vlcp", "uvlp"}


def test_list_shows_the_variants_of_methods(call: Call) -> None:
    listed = json.loads(call("list", "methods", "--json")[1])
    assert listed["uvlp:no-outliers"] == "without the removal of outliers"
    names = [*listed]
    assert names.index("uvlp") < names.index("uvlp:no-outliers") < names.index("vlcp")


def test_unknown_list_suggests_the_nearest(call: Call) -> None:
    code, _, err = call("list", "method")
    assert code == 2 and "did you mean 'methods'" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("digits-ipc9",), "no such table"),
        (("digits-ipc10", "--format", "latx"), "did you mean 'latex'"),
        (("digits-ipc10", "--format", "csv", "--part", "intervals"), "main, differences"),
    ],
)
def test_wrong_table_request(call: Call, tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    put_table(tmp_path, "digits-ipc10")
    code, _, err = call("table", *arguments, "--store", str(tmp_path))
    assert code == 2 and expected in err and len(err.splitlines()) == 1


def test_print_config_describes_every_setting_and_its_source(call: Call) -> None:
    code, out, _ = call("reproduce", "digits", "10", "--print-config", "--set", "evaluate.epochs=7")
    lines = dict(line.split(" = ", 1) for line in out.splitlines())
    assert code == 0 and lines["evaluate.epochs"].startswith("7 ")
    assert "recipe or command line" in lines["evaluate.epochs"]
    assert "[evaluation.md 1.8]" in lines["evaluate.momentum"]
    assert lines["uvlp.synthesis.strength"].startswith("0.4 ")
    assert all("#" in value and value.endswith("]") for value in lines.values())


@pytest.mark.parametrize(
    ("arguments", "sections"),
    [
        (("reproduce", "digits", "10", "--method", "random"), ["evaluate", "random"]),
        (("evaluate", ".", "--dataset", "digits", "--no-random"), ["evaluate"]),
        (("teacher", "digits", "conv3"), ["rded", "teacher"]),
        (("caption", "digits", "10", "--method", "uvlp"), ["caption"]),
        (
            ("reproduce", "digits", "10", "--method", "uvlp:no-outliers"),
            [
                *("caption", "embedder", "autoencoder", "diffuser", "embed", "evaluate"),
                *("uvlp:no-outliers", "uvlp:no-outliers.synthesis"),
            ],
        ),
        (
            ("reproduce", "cifar10", "10", "--method", "d4m"),
            ["models", "embed", "rded", "teacher", "d4m", "d4m.synthesis"],
        ),
    ],
)
def test_print_config_has_the_sections_that_the_run_uses(
    call: Call, arguments: tuple[str, ...], sections: list[str]
) -> None:
    recipe = json.loads(call(*arguments, "--print-config", "--json")[1])
    lines = call(*arguments, "--print-config")[1].splitlines()
    found = [name for name, value in recipe.items() if isinstance(value, dict) and "notes" not in name]
    assert found == sections
    assert list(dict.fromkeys(line.partition(" = ")[0].rpartition(".")[0] for line in lines)) == [
        "",
        *sections,
    ]


def test_print_config_as_json_has_resolved_settings(call: Call) -> None:
    arguments = ("reproduce", "digits", "10", "--set", "uvlp.top_k=3", "--print-config", "--json")
    recipe = json.loads(call(*arguments)[1])
    assert recipe["ipc"] == 10 and recipe["evaluate"]["size_px"] == 16
    assert (recipe["uvlp"]["top_k"], recipe["uvlp.synthesis"]["steps"]) == (3, 20)


@pytest.mark.parametrize(
    "arguments",
    [
        *((stage, "digits", "2") for stage in ("reproduce", "caption", "finetune", "embed")),
        *((stage, "digits", "2") for stage in ("prototype", "synthesise")),
        ("reproduce", "digits", "2", "--rerun", "1"),
        ("ablate", "uvlp", "digits", "2"),
        ("evaluate", ".", "--dataset", "digits"),
        ("teacher", "digits", "conv3"),
    ],
)
def test_portable_environment_is_set_first(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    called: list[str] = []
    monkeypatch.setattr(portable, "enforce", lambda: called.append("enforced"))
    code, printed, _ = call(*arguments, "--portable", "--print-config")
    assert code == 0 and "portable = true" in printed and called == ["enforced"]
    call(*arguments, "--print-config")
    assert called == ["enforced"], "only if requested"


def test_doctor_accepts_this_machine(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("doctor", "--store", str(tmp_path))
    assert code == 0, out
    assert {line.split()[1] for line in out.splitlines()} >= {"python", "torch", "gpu", "disk", "store"}


def test_doctor_prints_fixes(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "NEEDED_GB", 10**9)
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["no-such-package>=1"])
    code, out, _ = call("doctor", "--store", str(tmp_path / "file" / "below"))
    assert code == 2
    assert "FAIL  no-such-package  missing  -> python -m pip install" in out
    assert "FAIL  disk" in out and "--store DIR" in out


def test_help_lists_every_command(call: Call) -> None:
    code, out, _ = call("--help")
    assert code == 0
    for name in ("reproduce", "caption", "finetune", "embed", "prototype", "synthesise", "table", "doctor"):
        assert name in out


COMMANDS = typer.main.get_command(app.app).commands  # type: ignore[attr-defined]
GROUPS = {name: command.commands for name, command in COMMANDS.items() if hasattr(command, "commands")}
ARGUMENTS = [
    *((name,) for name in COMMANDS if name not in GROUPS),
    *((group, name) for group, commands in GROUPS.items() for name in commands),
]
WITHOUT_WHAT = {("doctor",), ("baseline", "list")}


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_command_help_has_panels_and_an_example(call: Call, arguments: tuple[str, ...]) -> None:
    code, out, _ = call(*arguments, "--help")
    headings = [line.removesuffix(":") for line in out.splitlines() if line.endswith(":") and line[0] != " "]
    panels = [WHAT, HOW, OUTPUT]
    assert code == 0 and headings == [panel for panel in panels if panel in headings]
    assert OUTPUT in headings and (WHAT in headings or arguments in WITHOUT_WHAT)
    assert f"Example: uvlp {' '.join(arguments)}" in out


@pytest.mark.parametrize("arguments", [(), *((group,) for group in GROUPS)])
def test_missing_command_prints_the_help(call: Call, arguments: tuple[str, ...]) -> None:
    code, _, output = call(*arguments)
    assert code == 2 and output.startswith("Usage: ") and "Commands:" in output
