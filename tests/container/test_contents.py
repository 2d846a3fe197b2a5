"""What the image contains and says about itself. Needs a Docker engine; run by .ci/run."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.engine import IMAGE, REPOSITORY, REVISION, Docker, docker, label
from tests.tools.test_image_packages import wheel
from tests.tools.test_image_sbom import schema_error

pytestmark = pytest.mark.container

CERTIFICATE = "/usr/share/ca-certificates/mozilla"


def shell(image: Docker, script: str) -> str:
    ran = image("--entrypoint", "sh", command=["-c", script])
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_labels_name_version_and_commit(image: Docker) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert label("org.opencontainers.image.version") == project["version"]
    assert label("org.opencontainers.image.revision") == REVISION
    assert label("org.opencontainers.image.created") == label("uvlp.wheels") == ""


def test_no_build_tool_is_left(image: Docker) -> None:
    tools = "for name in pip pip3 gcc pytest mypy ruff hatchling; do command -v $name; done; true"
    assert shell(image, tools) == ""
    lacking = (
        'for name in pip pytest mypy ruff hatchling triton; do python -c "import $name" 2>&1; done; true'
    )
    assert shell(image, lacking).count("ModuleNotFoundError") == 6
    left = (
        "find /opt/uvlp /var/lib/apt/lists /var/cache/apt -name '*.a' -o -name '*_Packages' -o -name '*.deb'"
    )
    assert shell(image, left) == ""
    assert shell(image, "ls /opt/uvlp/docker").split() == sorted(
        path.name for path in (REPOSITORY / "docker").iterdir() if path.is_file()
    )


def test_bill_of_materials_lists_exactly_what_is_installed(image: Docker) -> None:
    text = shell(image, "cat /opt/uvlp/sbom.cdx.json")
    assert schema_error(text) is None
    listed = {
        (entry["purl"].split("/")[0], entry["name"], entry["version"])
        for entry in json.loads(text)["components"]
    }
    debian = shell(image, "dpkg-query -W -f '${Package} ${Version}\\n'").splitlines()
    program = (
        "from importlib.metadata import distributions\n"
        "from packaging.utils import canonicalize_name\n"
        "for each in distributions(): print(canonicalize_name(each.name), each.version)"
    )
    python = shell(image, f"python -I -c '{program}'").splitlines()
    installed = {("pkg:deb", *line.split()) for line in debian} | {
        ("pkg:pypi", *line.split()) for line in python if not line.startswith("uvlp ")
    }
    assert listed == installed


@pytest.fixture
def context(tmp_path: Path, image: Docker) -> Path:
    """What the stages before the libraries read, to be built with more; the image's layers are reused."""
    folder = tmp_path / "context"
    for name in ("LICENSE", "README.md", "pyproject.toml", "uvlp/__init__.py", "docker/requirements.lock"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name)
    (folder / "tools").mkdir()
    for name in ("image_packages.py", "image_sbom.py"):
        shutil.copy(REPOSITORY / "tools" / name, folder / "tools" / name)
    shutil.copy(REPOSITORY / "Dockerfile", folder / "Dockerfile")
    return folder


@pytest.fixture
def built() -> Iterator[str]:
    """A tag for a build of a test; the image is removed."""
    yield f"{IMAGE}-test"
    docker("image", "rm", f"{IMAGE}-test")


def build(context: Path, tag: str, target: str, argument: str) -> subprocess.CompletedProcess[str]:
    words = ["--network", "host", "--target", target, "--build-arg", argument, "-t", tag, str(context)]
    return docker("build", *words)


def test_supplied_wheel_replaces_the_locked_one_and_is_recorded(context: Path, built: str) -> None:
    own = wheel(context / "docker" / "wheels", "wcwidth", "99.0")
    done = build(context, built, "supplied", "WHEELS=docker/wheels")
    assert done.returncode == 0, done.stderr
    command = "cd /build && /opt/uvlp/.venv/bin/python -m tools.image_sbom pyproject.toml dpkg-status"
    shown = docker("run", "--rm", "--network", "none", built, "sh", "-c", command)
    assert shown.returncode == 0, shown.stderr
    (entry,) = [each for each in json.loads(shown.stdout)["components"] if each["name"] == "wcwidth"]
    sha256 = subprocess.run(
        ["sha256sum", own], capture_output=True, encoding="utf-8", check=True
    ).stdout.split()[0]
    assert entry["version"] == "99.0"
    assert entry["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    assert entry["properties"] == [{"name": "uvlp:supplied", "value": "true"}]


def test_wheels_that_do_not_fit_end_the_build_with_one_line(context: Path, built: str) -> None:
    (context / "docker" / "wheels").mkdir()
    (context / "docker" / "wheels" / "notes.txt").write_text("none yet", encoding="utf-8")
    done = build(context, built, "supplied", "WHEELS=docker/wheels")
    assert done.returncode != 0
    assert "error  no wheel in the folder of WHEELS" in done.stdout + done.stderr
    wheel(context / "docker" / "wheels", "unheard_of", "1")
    done = build(context, built, "supplied", "WHEELS=docker/wheels")
    assert done.returncode != 0
    assert "needs unheard_of-1-py3-none-any.whl: remove it" in done.stdout + done.stderr


def test_extra_certificates_are_trusted(context: Path, built: str, image: Docker) -> None:
    certificates = context / "docker" / "certificates"
    certificates.mkdir()
    (certificates / "ours.crt").write_text(
        shell(image, f"cat {CERTIFICATE}/ISRG_Root_X1.crt"), encoding="utf-8"
    )
    done = build(context, built, "system", "CERTIFICATES=docker/certificates")
    assert done.returncode == 0, done.stderr
    shown = docker("run", "--rm", "--network", "none", built, "readlink", "/etc/ssl/certs/ours.pem")
    assert shown.stdout.strip() == "/usr/local/share/ca-certificates/ours.crt"
    (certificates / "ours.crt").rename(certificates / "ours.txt")
    done = build(context, built, "system", "CERTIFICATES=docker/certificates")
    assert done.returncode != 0
    assert "error  no certificate in the folder of CERTIFICATES" in done.stdout + done.stderr
