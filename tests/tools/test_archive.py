"""The archive for a DOI: every part, its checksums, and what is left out by name."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.stored_tables import put_table
from tools import archive
from uvlp.core.errors import UvlpError


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without changes that are not committed yet."""
    plain = archive.git
    monkeypatch.setattr(archive, "git", lambda *words: "" if words[0] == "status" else plain(*words))


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)


def test_archive_has_every_part_with_its_checksum(committed: None, no_docker: None, tmp_path: Path) -> None:
    put_table(tmp_path / "store")
    left_out = archive.write(tmp_path / "out", "uvlp", tmp_path / "store")
    assert left_out == ["left out: image (no docker here)"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    version = archive.citation()["version"]
    source = f"uvlp-{version}.tar.gz"
    assert names == {source, "uvlp-results.tar.gz", "sbom.cdx.json", ".zenodo.json", "SHA256SUMS"}
    checked = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path / "out", capture_output=True
    )
    assert checked.returncode == 0 and checked.stdout.count(b": OK") == 4
    with tarfile.open(tmp_path / "out" / source) as tar:
        assert f"uvlp-{version}/README.md" in tar.getnames()
    with tarfile.open(tmp_path / "out" / "uvlp-results.tar.gz") as tar:
        kinds = {name.split("/")[1] for name in tar.getnames() if "/" in name}
    assert kinds == {"tables", "scores", "uvlp_store.json"}


def test_packages_are_those_of_the_lock() -> None:
    found = archive.packages()
    lines = archive.LOCK.read_text(encoding="utf-8").splitlines()
    pinned = [line.split()[0] for line in lines if line[:1].isalnum()]
    assert [f"{each['name']}=={each['version']}" for each in found] == pinned and len(pinned) > 50
    assert all(each["hashes"] for each in found)
    assert sum(len(each["hashes"]) for each in found) == sum("--hash" in line for line in lines)


def test_metadata_is_that_of_the_citation() -> None:
    about = json.loads(json.dumps(archive.zenodo()))
    assert about["title"] == archive.citation()["title"] and about["license"] == "MIT" and about["creators"]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("", encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        archive.write(tmp_path, "uvlp", None)
    assert caught.value.got == str(tmp_path) and [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_uncommitted_changes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(archive, "git", lambda *words: " M README.md")
    with pytest.raises(UvlpError) as caught:
        archive.write(tmp_path / "out", "uvlp", None)
    assert caught.value.got == "M README.md"


def test_a_store_without_tables_is_refused(committed: None, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        archive.write(tmp_path / "out", "uvlp", tmp_path / "none")
    assert caught.value.got == str(tmp_path / "none")
