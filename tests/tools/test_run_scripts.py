"""The run scripts on a small copy of the repository: a real .venv, but nothing to download."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import run_script_texts
from uvlp.core import plugins
from uvlp.tables import published

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((REPOSITORY / "run_scripts").glob("*.sh"))
COMMANDS = [script for script in SCRIPTS if script.name not in ("setup.sh", "kick_the_tires.sh")]
LOCK = (REPOSITORY / "docker" / "requirements.lock").read_text()

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
# A build backend in one function, whose package has the console script `uvlp`: it prints its arguments.
BACKEND = """
import zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    files = {
        "words.py": "import json, sys\\ndef main(): print(json.dumps(sys.argv[1:]))\\n",
        "uvlp-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: uvlp\\nVersion: 0.1.0\\n",
        "uvlp-0.1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "uvlp-0.1.0.dist-info/entry_points.txt": "[console_scripts]\\nuvlp = words:main\\n",
        "uvlp-0.1.0.dist-info/RECORD": "",
    }
    name = "uvlp-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copied(tmp_path / "a checkout")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose .venv is made by the first script that runs."""
    return copied(tmp_path_factory.mktemp("scripts") / "a checkout")


def copied(folder: Path) -> Path:
    """A copy of the repository's scripts with an empty lock, so that pip needs no network."""
    shutil.copytree(REPOSITORY / "run_scripts", folder / "run_scripts")
    for name, text in {
        "docker/requirements.lock": "# empty\n",
        "pyproject.toml": PROJECT,
        "backend.py": BACKEND,
        "uvlp/__init__.py": "",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def start(checkout: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", checkout / "run_scripts" / "digits_ipc10.sh", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def run(checkout: Path, *words: str, **environment: str) -> tuple[list[str], str]:
    """Words that reached `uvlp`, and what setup said."""
    process = start(checkout, *words, **environment)
    printed, said = process.communicate()
    assert process.returncode == 0, said
    arguments: list[str] = json.loads(printed)
    return arguments, said


@pytest.mark.parametrize("script", [*SCRIPTS, REPOSITORY / ".ci" / "run"], ids=lambda script: script.name)
def test_script_parses(script: Path) -> None:
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("script", COMMANDS, ids=lambda script: script.name)
def test_script_sets_up_and_passes_its_words_on(script: Path) -> None:
    text = script.read_text()
    assert "set -euo pipefail" in text
    assert 'source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"' in text
    assert '"$@"' in text


def test_run_scripts_are_as_they_would_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    # Planning reads a plug-in's source for every task: here once.
    monkeypatch.setattr(plugins, "revision", cache(plugins.revision))
    wanted = run_script_texts.scripts()
    for name, text in wanted.items():
        found = (REPOSITORY / "run_scripts" / name).read_text(encoding="utf-8")
        assert found == text, f"{name} is stale: python -m tools.run_script_texts"
    others = {script.name for script in SCRIPTS} - set(wanted)
    assert not [name for name in others if "_ipc" in name and name != "digits_ipc10.sh"]
    assert not [name for name in others if name.startswith("table_")]


def test_scripts_can_be_executed() -> None:
    for script in SCRIPTS:
        assert script.name == "setup.sh" or script.stat().st_mode & 0o111 == 0o111, script.name


def test_every_published_table_has_a_script() -> None:
    assert {f"table_{name}.sh" for name in published.TABLES} <= {script.name for script in SCRIPTS}


def test_every_published_cell_of_an_implemented_method_has_a_script() -> None:
    """That of its dataset and IPC has its method, network and protocol; the words are those of the file."""
    here = plugins.names("methods")
    for cell in published.cells():
        text = (REPOSITORY / "run_scripts" / f"{cell.dataset}_ipc{cell.ipc}.sh").read_text(encoding="utf-8")
        run = run_script_texts.run_of(cell.dataset, cell.ipc)
        recipe = run.recipe()
        assert f"{run.options}{run.seeds} " in text
        assert cell.method in recipe.methods or cell.method not in here, cell
        networks = {published.canonical(network) for network in recipe.networks}
        assert published.canonical(cell.network) in networks and recipe.protocol == cell.protocol, cell


def test_a_method_that_lands_joins_the_scripts_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "names", lambda room, names=plugins.names: [*names(room), "sre2l"])
    assert "sre2l" in run_script_texts.run_of("imagenet1k", 10).methods
    assert "sre2l" not in run_script_texts.run_of("imagenette", 10).methods


@pytest.mark.parametrize("name", ["imagenette_ipc20", "tiny_imagenet_ipc50", "table_nette-idc"])
def test_words_reach_every_run_of_a_script(ready: Path, name: str) -> None:
    words = ["--dry-run", "--data", "a folder", ""]
    process = subprocess.run(
        ["bash", ready / "run_scripts" / f"{name}.sh", *words], capture_output=True, text=True, check=True
    )
    runs = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(runs) == (6 if name.startswith("table") else 1)
    for run_words in runs:
        assert run_words[0] == "reproduce"
        assert run_words[-len(words) :] == words
        assert run_words[run_words.index("--seed") + 1] == "0,1,2"
    if name == "tiny_imagenet_ipc50":
        assert runs[0][1:3] == ["tiny-imagenet", "50"]


@pytest.mark.slow
def test_environment_is_made_once_and_again_where_the_checkout_moved(checkout: Path) -> None:
    arguments, said = run(checkout, "--seed", "0,1", "two words", "", PYTHONDONTWRITEBYTECODE="1")
    assert arguments == ["reproduce", "digits", "10", "--seed", "0,1", "two words", ""]
    assert "making .venv" in said
    assert list((checkout / "uvlp" / "__pycache__").glob("*.pyc")), "bytecode was not compiled"
    assert run(checkout) == (["reproduce", "digits", "10"], "")

    moved = checkout.rename(checkout.with_name("moved"))
    assert "making .venv" in run(moved)[1]


@pytest.mark.slow
def test_two_at_once_take_turns(checkout: Path) -> None:
    both = [start(checkout, "--seed", seed) for seed in ("0", "1")]
    results = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert [json.loads(printed)[-1] for printed, _ in results] == ["0", "1"]
    assert sum("making .venv from" in said for _, said in results) == 1


@pytest.mark.slow
def test_interrupted_environment_is_made_from_nothing(checkout: Path) -> None:
    debris = checkout / ".venv" / "lib" / "half-installed"
    debris.parent.mkdir(parents=True)
    debris.touch()
    (checkout / ".venv.lock").write_text("making .venv\n")
    run(checkout)
    assert not debris.exists()


@pytest.mark.slow
def test_environment_made_by_hand_is_kept(checkout: Path) -> None:
    subprocess.run(["python3", "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    own = checkout / ".venv" / "own"
    own.touch()
    run(checkout)
    assert own.exists()


def test_unsuitable_python_is_said_in_one_line(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "cat", "cmp", "dirname"):
        program = shutil.which(name)
        assert program is not None
        (programs / name).symlink_to(program)
    old = programs / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" || exit 1\n')
    old.chmod(0o755)

    process = start(checkout, PATH=str(programs))
    printed, said = process.communicate()
    assert (process.returncode, printed) == (2, "")
    assert len(said.splitlines()) == 1, said
    assert "needs Python 3.11, 3.12 or 3.13 with pip, found Python 3.9.2" in said
    assert not (checkout / ".venv").exists()


def gpu_tests(folder: Path, driver: str, python: str = "") -> tuple[int, str, str]:
    """Run test_gpu.sh where `nvidia-smi` is the shell command ``driver`` and torch sees no GPU."""
    for name, text in {"nvidia-smi": driver, "bare": f'exec {sys.executable} -S "$@"'}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    if python:
        environment["UVLP_PYTHON"] = python
    script = REPOSITORY / "run_scripts" / "test_gpu.sh"
    done = subprocess.run(["bash", script], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


def test_gpu_tests_without_a_gpu_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    assert gpu_tests(tmp_path, "exit 9") == (
        2,
        "",
        "test_gpu: no NVIDIA GPU: nvidia-smi lists none; "
        "bash run_scripts/test.sh runs the tests without one\n",
    )


def test_gpu_tests_say_what_an_environment_of_yours_lacks(tmp_path: Path) -> None:
    card = "echo GPU 0: NVIDIA H200"
    code, out, said = gpu_tests(tmp_path, card, sys.executable)
    assert (code, out, said) == (2, "", "test_gpu: torch finds no GPU: `uvlp doctor` says why\n")
    code, out, said = gpu_tests(tmp_path, card, str(tmp_path / "bare"))
    assert (code, out) == (2, "") and "lacks torch and pytest: install it, or leave UVLP_PYTHON" in said


def locked() -> dict[str, list[Requirement]]:
    """Pinned requirements by name; each must be followed by at least one hash."""
    pins: dict[str, list[Requirement]] = {}
    for entry in re.split(r"\n(?=\S)", LOCK.strip()):
        requirement, *hashes = re.split(r"\s*\\\n\s*", entry)
        assert hashes, f"no hash: {entry}"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text) for text in hashes), entry
        pin = Requirement(requirement)
        assert re.fullmatch(r"==[\w.+]+", str(pin.specifier)), f"not pinned: {entry}"
        pins.setdefault(pin.name.lower().replace("_", "-"), []).append(pin)
    return pins


def test_lock_satisfies_the_project_and_its_build_backend() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    pins = locked()
    for text in wanted:
        requirement = Requirement(text)
        found = pins.get(requirement.name.lower().replace("_", "-"), [])
        assert found, f"{text} is not in the lock: compile it again (docker/README.md)"
        for pin in found:
            (version,) = pin.specifier
            assert requirement.specifier.contains(version.version), f"{pin} does not satisfy {text}"


def test_lock_names_no_address_and_no_place() -> None:
    assert re.search(r"https?:|file:|--index|--extra-index|--find-links| @ |^-e ", LOCK, re.MULTILINE) is None


def kick_the_tires(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    script = checkout / "run_scripts" / "kick_the_tires.sh"
    environment = os.environ | {"UVLP_KICK_THE_TIRES": str(checkout / "out")}
    command = ["bash", str(script), *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_kick_the_tires_prints_pass_or_fail_per_claim(ready: Path) -> None:
    """With a command that prints its arguments and succeeds, claims on what is printed or stored fail."""
    ran = kick_the_tires(ready)
    lines = ran.stdout.splitlines()
    results = ["FAIL", *["PASS"] * 3, "SKIP", "PASS", "FAIL", "FAIL"]
    assert [line.split()[0] for line in lines[:-1]] == results, ran.stderr
    assert lines[-1].startswith("4 of 8 claims hold (1 skipped); ") and ran.returncode == 1
    log = (ready / "out" / "logs" / "6.txt").read_text()
    assert json.loads(log)[:2] == ["verify", "digits-ipc10-portable"] and '"--rerun", "1"' in log


@pytest.fixture
def printing_docker(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command `docker` that prints its arguments."""
    docker = checkout / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\necho "$@"\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}{os.pathsep}{os.environ['PATH']}")
    return docker


def test_kick_the_tires_in_a_container_has_no_network(checkout: Path, printing_docker: Path) -> None:
    ran = kick_the_tires(checkout, "--container", "uvlp")
    assert ran.stdout.count("PASS") == 4 and not (checkout / ".venv").exists()
    log = (checkout / "out" / "logs" / "3.txt").read_text()
    assert log.startswith("run --rm --network none --user ")
    assert f"-v {checkout}/out:/out uvlp reproduce digits 10 --portable" in log


@pytest.mark.parametrize(
    ("state", "exit_code", "result"), [("ok", 0, "PASS"), ("not checked", 0, "SKIP"), ("FAIL", 2, "FAIL")]
)
def test_kick_the_tires_passes_bytes_that_were_compared_alone(
    checkout: Path, printing_docker: Path, state: str, exit_code: int, result: str
) -> None:
    printing_docker.write_text(
        f'#!/bin/sh\necho "{state:<11}  claims      what was compared"\nexit {exit_code}\n'
    )
    lines = kick_the_tires(checkout, "--container", "uvlp").stdout.splitlines()
    (line,) = [line for line in lines if "bytes of its scores" in line]
    assert line.split()[0] == result


def test_kick_the_tires_refuses_unknown_options(checkout: Path) -> None:
    ran = kick_the_tires(checkout, "--gpu")
    assert ran.returncode == 2 and "unknown option: got '--gpu'" in ran.stderr


def test_transcript_of_kick_the_tires_has_its_claims() -> None:
    text = (REPOSITORY / "run_scripts" / "kick_the_tires.sh").read_text(encoding="utf-8")
    claims = re.findall(r'^claim "([^"]+)"', text, flags=re.MULTILINE)
    page = (REPOSITORY / "ARTIFACT.md").read_text(encoding="utf-8")
    assert re.findall(r"^PASS  (.+) \(\d+ s\)$", page, flags=re.MULTILINE) == claims
