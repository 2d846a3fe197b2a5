"""The Dockerfile and the Apptainer recipe, read as text: what needs no engine to be checked."""

from __future__ import annotations

import re

from tests.container.engine import REPOSITORY

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
APPTAINER = (REPOSITORY / "docker" / "apptainer.def").read_text()
# Apptainer sets these itself, and GPUs come through its --nv.
DOCKER_ONLY = {"HOME", "USER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def docker_environment() -> dict[str, str]:
    *_, final = re.findall(r"^ENV ((?:.*\\\n)*.*)", DOCKERFILE, re.MULTILINE)
    return dict(word.split("=", 1) for word in final.replace("\\\n", " ").split())


def test_apptainer_sets_the_environment_of_the_image() -> None:
    exported = dict(re.findall(r"^\s+export (\w+)=(.*)$", APPTAINER, re.MULTILINE))
    wanted = {name: value for name, value in docker_environment().items() if name not in DOCKER_ONLY}
    assert exported == wanted


def test_caches_and_results_lie_in_the_mounted_folder() -> None:
    folders = {
        name: value for name, value in docker_environment().items() if name.endswith(("HOME", "DIR", "STORE"))
    }
    assert len(folders) >= 5
    assert {name for name, value in folders.items() if not value.startswith("/out")} == set()


def test_dockerfile_suits_the_classic_builder() -> None:
    buildkit_only = r"^#\s*syntax=|--mount=|--chmod=|--link|<<-?\s*[\"']?[A-Z]+"
    assert re.search(buildkit_only, DOCKERFILE, re.MULTILINE) is None


def test_image_is_built_from_the_lock_and_the_build_context_alone() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"git clone|curl |wget |^ADD |:latest", DOCKERFILE, re.MULTILINE) is None


def test_build_context_is_a_list_of_what_is_allowed() -> None:
    lines = [
        line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")
    ]
    assert lines[0] == "*"
    assert "!uvlp" in lines
