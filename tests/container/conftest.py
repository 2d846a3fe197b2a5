from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.engine import IMAGE, REVISION, Docker, docker


@pytest.fixture(scope="session")
def image() -> Docker:
    """Build the image; the function returned runs it without network: ``image(*options, command=[...])``."""
    try:
        engine = docker("version", "--format", "{{.Server.Version}}")
    except FileNotFoundError:
        pytest.fail("the container tests need Docker, and there is no docker command: install one")
    if engine.returncode != 0:
        pytest.fail(f"the container tests need a Docker engine, and none answers: {engine.stderr.strip()}")
    built = docker("build", "--network", "host", "-t", IMAGE, "--build-arg", f"REVISION={REVISION}", ".")
    if built.returncode != 0:
        pytest.fail(f"docker build failed:\n{built.stdout[-2000:]}\n{built.stderr[-2000:]}")

    def run(*options: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        return docker("run", "--rm", "--network", "none", *options, IMAGE, *command)

    return run


@pytest.fixture
def out(tmp_path: Path, image: Docker) -> Iterator[Path]:
    """A folder that every user id may write, to be mounted as /out; emptied by root, who alone can."""
    folder = tmp_path / "out"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    emptied = image(
        *["--user", "0", "-v", f"{folder}:/out", "--entrypoint", "find"],
        command=["/out", "-mindepth", "1", "-delete"],
    )
    assert emptied.returncode == 0, emptied.stderr
