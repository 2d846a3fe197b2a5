"""The bill of materials of the image, held to CycloneDX's own schema."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

from tools import image_sbom

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: base-files
Status: install ok installed
Architecture: amd64
Version: 12.4+deb12u10
"""


def schema_error(text: str) -> object:
    """What CycloneDX's schema does not allow in a list; None: nothing."""
    from cyclonedx.validation.json import JsonStrictValidator  # its grammars of addresses take seconds

    return JsonStrictValidator(image_sbom.SCHEMA).validate_str(text)


def made(*distributions: importlib.metadata.Distribution) -> dict[str, Any]:
    debian = image_sbom.debian_components(STATUS, "debian-12")
    return image_sbom.document("uvlp", "1.0", [*debian, *image_sbom.python_components(distributions)])


def distribution(folder: Path, *lines: str, url: str = "") -> importlib.metadata.Distribution:
    folder.mkdir()
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if url:
        (folder / "direct_url.json").write_text(url, encoding="utf-8")
    return importlib.metadata.Distribution.at(folder)


def test_components_are_the_installed_packages(tmp_path: Path) -> None:
    plain = distribution(tmp_path / "a", "Name: Some_Name", "Version: 2", "License-Expression: MIT")
    sha256 = "0" * 64
    own = distribution(
        tmp_path / "b",
        "Name: torch",
        "Version: 2+cpu",
        url=json.dumps({"url": "file:///t.whl", "archive_info": {"hash": f"sha256={sha256}"}}),
    )
    found = {component["name"]: component for component in made(plain, own)["components"]}
    assert sorted(found) == ["base-files", "libc6", "some-name", "torch"]
    assert found["libc6"]["version"] == "2.36-9+deb12u10"
    assert found["libc6"]["purl"].startswith("pkg:deb/debian/libc6@2.36-9")
    assert found["some-name"]["purl"] == "pkg:pypi/some-name@2"
    assert found["some-name"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert found["torch"]["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    assert found["torch"]["properties"] == [{"name": "uvlp:supplied", "value": "true"}]
    assert "properties" not in found["some-name"]


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0 OR MIT", "BSD", "a license\n of two lines", ""])
def test_it_is_valid_and_the_same_each_time(tmp_path: Path, licence: str) -> None:
    found = distribution(tmp_path / "a", "Name: a", "Version: 1", f"License: {licence}")
    document = made(found)
    assert schema_error(json.dumps(document)) is None
    assert made(found) == document and "timestamp" not in document["metadata"]


def test_another_list_has_another_serial_number(tmp_path: Path) -> None:
    found = distribution(tmp_path / "a", "Name: a", "Version: 1")
    assert made(found)["serialNumber"] != made()["serialNumber"]


def test_this_environment_gives_a_valid_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = tmp_path / "status"
    status.write_text(STATUS, encoding="utf-8")
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    image_sbom.main(pyproject, status)
    text = capsys.readouterr().out
    assert schema_error(text) is None
    names = {component["name"] for component in json.loads(text)["components"]}
    assert {"torch", "libc6"} <= names and not names & {"pytest", "hatchling", "triton", "uvlp"}
