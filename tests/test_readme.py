"""Documented commands, links and paths exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from uvlp.cli.app import app

REPOSITORY = Path(__file__).resolve().parent.parent
NAMES = ("README.md", "ARTIFACT.md", "docker/README.md", "patches/README.md")
PAGES = [*(REPOSITORY / name for name in NAMES), *sorted((REPOSITORY / "docs").glob("*.md"))]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def codes(page: Path) -> list[str]:
    """Return the lines of code blocks and inline code."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + inline


CALLS = [
    code
    for page in PAGES
    for code in codes(page)
    if re.match(r"(docker run .* )?(\.venv/bin/)?uvlp \w", code)
]


def words_of(call: str) -> list[str]:
    """The command and what follows it, without a comment; `uvlp` may also be an image or a method."""
    words = shlex.split(call.split("#")[0])
    images = [row for row, word in enumerate(words[:-1]) if word == "uvlp" and words[row + 1] in COMMANDS]
    return words[max(images, default=0) + 1 :]


@pytest.mark.parametrize("call", CALLS)
def test_a_documented_command_has_existing_options(call: str) -> None:
    name, *rest = words_of(call)
    assert name in COMMANDS
    command = COMMANDS[name]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {each for each in rest if each.startswith("--")} <= known


def test_commands_are_documented() -> None:
    assert len(CALLS) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_have_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_documented_paths_exist(page: Path) -> None:
    roots = (
        "run_scripts/",
        "docker/",
        "paper_tables/",
        "patches/",
        "benchmarks/",
        "tests/",
        "tools/",
        ".ci/",
    )
    for code in codes(page):
        for path in re.findall(r"[\w./-]+", code):
            if path.startswith(roots) and not path.endswith("/"):
                assert (REPOSITORY / path).exists(), path
    assert (REPOSITORY / "LICENSE").exists()
