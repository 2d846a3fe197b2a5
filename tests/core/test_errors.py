"""Commands, options and settings that messages mention exist."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

import uvlp
from uvlp.cli import app as cli
from uvlp.core import plugins
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

OF_OTHER_PROGRAMS = {
    "--abbrev",
    "--always",
    "--check",
    "--dirty",
    "--exclude",
    "--gpus",
    "--gpus-per-node",
    "--logdir",
    "--mem",
    "--project",
    "--require-hashes",
}
COMMAND = re.compile(r"`uvlp ([a-z]+)\b")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+(?![\w-])")
SETTING = re.compile(r"--set[ =]([a-z_]+(?:\.[a-z_]+)+)\b")
NOT_ADVICE = {"checkouts.py", "launch.py", "nvidia.py", "queue.py", "sbatch.py"}
"""Files that call other programs."""


def texts() -> Iterator[tuple[str, str]]:
    """Yield every string in the package with its location."""
    for path in sorted(Path(uvlp.__file__).parent.rglob("*.py")):
        if path.name in NOT_ADVICE:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{path.name}:{node.lineno}", node.value


def options(command: Any) -> set[str]:
    """Return the options of a command and its subcommands."""
    own = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return own.union(*(options(each) for each in getattr(command, "commands", {}).values()))


def has(settings: Any, path: str) -> bool:
    name, _, rest = path.partition(".")
    known = any(field.name == name for field in fields(settings))
    return known and (not rest or has(getattr(settings, name), rest))


def is_setting(path: str) -> bool:
    """Return whether `--set` accepts the path, for the recipe, a method or the launcher."""
    if path.startswith("launcher."):
        return has(plugins.load("launchers", "slurm").Settings(), path.removeprefix("launcher."))
    recipe = resolve(Request(dataset="digits", ipc=1))
    method, _, rest = path.removeprefix("method.").partition(".")
    # A method that has the name of a section is addressed as method.NAME.
    if method not in plugins.names("methods") or (
        hasattr(recipe, method) and method == path.partition(".")[0]
    ):
        return has(recipe, path)
    module = plugins.load("methods", method)
    synthesis = rest.removeprefix("synthesis.")
    return has(module.SYNTHESIS, synthesis) if synthesis != rest else has(module.Settings(), rest)


def test_messages_mention_existing_commands_options_and_settings() -> None:
    app: Any = typer.main.get_command(cli.app)
    known = options(app) | OF_OTHER_PROGRAMS | {"--help"}
    settings = 0
    for where, text in texts():
        for name in COMMAND.findall(text):
            assert name in app.commands, (where, name)
        for option in OPTION.findall(text):
            assert option in known, (where, option)
        for path in SETTING.findall(text):
            assert is_setting(path), (where, path)
            settings += 1
    assert settings, "no message mentions a setting"
