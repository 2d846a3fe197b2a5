"""The image is built and used as its users do. Needs a Docker engine; run by .ci/run."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.container.engine import REPOSITORY, Docker

pytestmark = pytest.mark.container

SMALL_RUN = ["reproduce", "digits", "10", "--profile", "nano", "--method", "random"]
STRANGER = "12345:12345"


def test_help_needs_no_folder(image: Docker) -> None:
    shown = image(command=["--help"])
    assert shown.returncode == 0, shown.stderr
    assert "reproduce" in shown.stdout


def test_the_demo_gives_the_scores_of_a_run_outside(image: Docker, tmp_path: Path) -> None:
    """All its models and methods, but one training of three each: the others differ by their seed."""
    out, store = tmp_path / "out", tmp_path / "store"
    out.mkdir()
    own_user = ["--user", f"{os.getuid()}:{os.getgid()}"]
    words = ["--repeats", "1", "--json"]
    inside = image(*own_user, "-v", f"{out}:/out", command=["reproduce", "digits", "10", *words])
    assert inside.returncode == 0, inside.stderr
    script = ["bash", str(REPOSITORY / "run_scripts" / "digits_ipc10.sh")]
    words += ["--store", str(store)]
    printed = subprocess.run([*script, *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    there, here = json.loads(inside.stdout), json.loads(printed)
    assert Path(there["store"]) == Path("/out/uvlp_store")
    for cell, same in zip(here["table"]["cells"], there["table"]["cells"], strict=True):
        assert cell["best_pct"] == same["best_pct"] and cell["scores"] == same["scores"]
    made, expected = files_of_artifacts(out / "uvlp_store"), files_of_artifacts(store)
    differing = [
        name for name in expected if not name.startswith("tables/") and made.get(name) != expected[name]
    ]
    assert differing == []


def files_of_artifacts(store: Path) -> dict[str, bytes]:
    """Content of every file of every artifact but the manifests, which alone tell time and place."""
    manifests = store.glob("*/*/manifest.json")
    files = {path for manifest in manifests for path in manifest.parent.rglob("*") if path.is_file()}
    content = {
        str(path.relative_to(store)): path.read_bytes() for path in files if path.name != "manifest.json"
    }
    assert content, f"no artifact in {store}"
    return content


def test_any_user_id_works_on_a_read_only_root(image: Docker, out: Path) -> None:
    def ran(*command: str) -> str:
        done = image("--read-only", "--user", STRANGER, "-v", f"{out}:/out", command=list(command))
        assert done.returncode == 0, done.stderr
        return done.stdout

    ran(*SMALL_RUN)
    assert list(out.glob("uvlp_store/*/*/manifest.json"))
    assert "Random" in ran("table", "digits-ipc10-nano")
    assert "Nothing wrong" in ran("verify")
    ran("report", "digits-ipc10-nano", "--out", "/out/report.html")
    assert "Random" in (out / "report.html").read_text(encoding="utf-8")
    found = {line["what"]: line for line in json.loads(ran("doctor", "--json"))}
    assert found["store"]["found"] == "/out/uvlp_store is writable"
    assert found["gpu"]["found"].startswith("none: everything runs on the CPU")
    assert "download first: dataset imagewoof" in ran("reproduce", "imagewoof", "10", "--dry-run")
    owners = {path.stat().st_uid for path in out.rglob("*")}
    assert owners == {12345}


def test_any_user_id_works_on_a_writable_root(image: Docker, out: Path) -> None:
    shown = image("--user", STRANGER, "-v", f"{out}:/out", command=["list", "methods"])
    assert shown.returncode == 0, shown.stderr


def test_folder_that_cannot_be_written_is_said_in_one_line(image: Docker, out: Path) -> None:
    out.chmod(0o555)
    ran = image("--user", STRANGER, "-v", f"{out}:/out", command=SMALL_RUN)
    assert ran.returncode == 2, ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert "/out" in ran.stderr


def test_default_user_is_not_root(image: Docker) -> None:
    shown = image("--entrypoint", "id", command=["-u"])
    assert shown.stdout.strip() == "1000"


def test_scripts_find_the_pipelines_of_the_published_code(image: Docker, out: Path) -> None:
    program = "from diffusers import StableDiffusionGenLatentsPipeline, StableDiffusionLatents2ImgPipeline"
    options = ["--read-only", "--user", STRANGER, "-v", f"{out}:/out"]
    ran = image(*options, command=["patched", "python", "-c", program])
    assert (ran.returncode, ran.stderr) == (0, "")


def test_bytecode_is_compiled_and_holds_hashes(image: Docker) -> None:
    """Python cannot write it later: the files belong to root. Times would differ between two builds."""
    program = (
        "import importlib.util, pathlib, torch, uvlp.cli.app\n"
        "for module in (torch, uvlp.cli.app):\n"
        "    compiled = pathlib.Path(importlib.util.cache_from_source(module.__file__))\n"
        "    assert compiled.read_bytes()[4:8] == bytes([3, 0, 0, 0]), compiled\n"  # PEP 552: checked hash
        "    assert module.__spec__.loader.get_code(module.__name__).co_filename == module.__file__\n"
    )
    ran = image("--entrypoint", "python", command=["-c", program])
    assert ran.returncode == 0, ran.stderr
