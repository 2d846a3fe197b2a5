"""What the documentation tells people to type exists, and what it points to is there."""

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
    """Lines of code blocks and inline code."""
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


@pytest.mark.parametrize("call", CALLS)
def test_a_documented_call_is_understood(call: str) -> None:
    words = shlex.split(call.split("#")[0])
    start = len(words) - 1 - words[::-1].index("uvlp") if "uvlp" in words else 0
    name, rest = words[start + 1], words[start + 2 :]
    assert name in COMMANDS
    command = COMMANDS[name]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known


def test_there_are_documented_calls() -> None:
    assert len(CALLS) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
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
        for word in re.findall(r"[\w./-]+", code):
            if word.startswith(roots) and not word.endswith("/"):
                assert (REPOSITORY / word).exists(), word
    assert (REPOSITORY / "LICENSE").exists()
