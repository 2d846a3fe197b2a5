"""Who may import whom (README, "How it is built"), and what starting up may cost."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "uvlp"
FILES = sorted(PACKAGE.rglob("*.py"))
LEVEL = {
    "core": 0,
    "artifacts": 1,
    "recipes": 1,
    "blocks": 2,
    "networks": 2,
    "models": 2,
    "methods": 3,
    "evaluators": 3,
    "datasets": 3,
    "stages": 4,
}
TOP = {
    *(
        "cli",
        "cli_captions",
        "cli_options",
        "commands",
        "contenders",
        "estimates",
        "folders",
        "pipeline",
        "plan",
        "preflight",
        "pretrained",
    ),
    *("recipe_names", "table_names", "__main__"),
}
PLUGINS = {"methods", "evaluators", "datasets", "stages"}
HEAVY = {"torch", "numpy", "sklearn", "PIL", "diffusers", "transformers", "open_clip", "scipy"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module.startswith("uvlp"):
                yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    here = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "uvlp" or len(parts) < 2:
            continue
        there = parts[1]
        if here in TOP:
            assert there in {"core", "recipes", "artifacts"} | TOP, f"{path.name} imports {name}"
        elif here in LEVEL and there in LEVEL:
            same_plugin_room = here == there and here in PLUGINS
            assert LEVEL[there] <= LEVEL[here] and not same_plugin_room, f"{path.name} imports {name}"
        elif here in LEVEL:
            assert there not in TOP, f"{path.name} imports {name}"


def test_dynamic_imports_live_in_one_place() -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(word in path.read_text(encoding="utf-8") for word in ("import_module", "__import__("))
    }
    assert users == {"core/plugins.py"}


def test_everything_that_answers_without_models_imports_no_heavy_library() -> None:
    light = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in FILES
        if room(path) in TOP | PLUGINS | {"core", "artifacts", "recipes"} and path.stem != "__main__"
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_no_file_is_a_drawer() -> None:
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common"}]


def test_no_import_reaches_for_the_network() -> None:
    banned = {"requests", "urllib.request", "httpx", "socket"}
    users = {path.name for path in FILES if banned & set(imports(path))}
    assert users == {"download.py"}
