"""The worked examples of the documentation, exactly as printed, produce rows of a table.

Once as files of a checkout, once as an installed package outside it.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/extending.md")
FILE = re.compile(r"`([\w/.]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^\.venv/bin/uvlp (reproduce bars .*)$", re.MULTILINE)


def printed() -> dict[str, str]:
    """Return every file that the pages print, by path."""
    texts = [(REPOSITORY / page).read_text(encoding="utf-8") for page in PAGES]
    return {path: text for page in texts for path, text in FILE.findall(page)}


def command() -> list[str]:
    """Return the arguments of the command that runs them all."""
    (text,) = COMMAND.findall((REPOSITORY / PAGES[1]).read_text(encoding="utf-8"))
    return shlex.split(text)


def run(folder: Path, path: list[Path], *arguments: str) -> str:
    """Return the output of `uvlp` in a folder, with packages of ``path``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONSAFEPATH": "1"}
    call = [sys.executable, "-m", "uvlp", *arguments]
    result = subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def rows(table: str) -> set[str]:
    return {line.split("|")[1].strip() for line in table.splitlines() if line.count(" ± ") == 2}


def test_every_kind_has_an_example() -> None:
    rooms = {path.split("/")[1] for path in printed() if path.startswith("uvlp/")}
    assert rooms == {"methods", "datasets", "networks", "protocols", "captioners", "launchers"}


@pytest.mark.parametrize("path", [path for path in printed() if path.endswith(".py")])
def test_imports_of_the_examples_exist(path: str) -> None:
    """In milliseconds; the examples themselves take a minute."""
    nodes = [node for node in ast.walk(ast.parse(printed()[path])) if isinstance(node, ast.ImportFrom)]
    for node in [node for node in nodes if (node.module or "").startswith("uvlp")]:
        module = importlib.import_module(str(node.module))
        for alias in node.names:
            assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.slow
def test_files_in_a_checkout_give_rows(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "uvlp", tmp_path / "uvlp", ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in printed().items():
        if path.startswith("uvlp/"):
            assert not (tmp_path / path).exists()
            (tmp_path / path).write_text(text, encoding="utf-8")
    assert rows(run(tmp_path, [tmp_path], *command())) == {"Random", "Typical", "Chunks"}


@pytest.mark.slow
def test_an_installed_package_gives_rows(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "installed"
    (source / "mypack").mkdir(parents=True)
    for name, text in printed().items():
        target_file = source / "mypack" / Path(name).name if name.startswith("uvlp/") else source / name
        target_file.write_text(text, encoding="utf-8")
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(target)], cwd=source, check=True, capture_output=True)
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    path = [REPOSITORY, target]
    for room, name in (("methods", "typical"), ("datasets", "bars"), ("networks", "mlp-DEPTH")):
        listed = run(tmp_path, path, "list", room).splitlines()
        assert [line for line in listed if line.startswith(f"{name} ") and line.endswith("[mypack 0.1]")]
    assert rows(run(tmp_path, path, *command())) == {"Random", "Typical", "Chunks"}
    manifests = [json.loads(file.read_text()) for file in tmp_path.glob("uvlp_store/*/*/manifest.json")]
    packages = {manifest["stage"]: manifest["packages"] for manifest in manifests}
    assert packages["evaluate"] == dict.fromkeys(("dataset", "plugin", "network"), "mypack 0.1")
