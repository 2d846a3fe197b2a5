"""The image's bill of materials, CycloneDX JSON on the standard output; run by the Dockerfile.

    python -m tools.image_sbom PYPROJECT DPKG_STATUS

Components are the packages of Debian (from dpkg's status file) and those of Python (from their metadata) that
the image gets. No time and no random number: two builds of a commit have the same list.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from tools import image_packages

SCHEMA = SchemaVersion.V1_6
LONGEST_LICENCE = 100
"""Longer text in the metadata is the licence itself, not its name."""


def debian_components(status: str, distribution: str) -> Iterator[Component]:
    """Yield the installed packages of dpkg's ``status`` file; ``distribution`` as in "debian-12"."""
    for paragraph in filter(str.strip, status.split("\n\n")):
        fields = Parser().parsestr(paragraph)
        if not fields["Status"].endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        qualifiers = {"arch": fields["Architecture"], "distro": distribution}
        purl = PackageURL("deb", "debian", name, version, qualifiers)
        yield Component(
            type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=purl.to_string()
        )


def python_components(found: Iterable[importlib.metadata.Distribution]) -> Iterator[Component]:
    """Yield ``found``; a wheel that the user supplied has its SHA-256 and says so."""
    for distribution in found:
        name = canonicalize_name(distribution.name)
        purl = PackageURL("pypi", None, name, distribution.version)
        licence = _licence(distribution)
        wheel = _supplied_hash(distribution)
        yield Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=distribution.version,
            purl=purl,
            bom_ref=purl.to_string(),
            licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel)] if wheel else [],
            properties=[Property(name="uvlp:supplied", value="true")] if wheel else [],
        )


def _licence(distribution: importlib.metadata.Distribution) -> str:
    metadata = distribution.metadata
    name = next((name for name in ("License-Expression", "License") if name in metadata), None)
    text = metadata[name].strip() if name else ""
    return text if len(text) <= LONGEST_LICENCE and "\n" not in text else ""


def _supplied_hash(distribution: importlib.metadata.Distribution) -> str:
    """Return the hash of the local wheel that was installed; empty for one of the lock."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return str(origin.get("archive_info", {}).get("hash", "")).removeprefix("sha256=")


def document(name: str, version: str, components: Iterable[Component]) -> dict[str, Any]:
    """Return the bill of materials of package ``name`` with ``components``."""
    root = Component(type=ComponentType.APPLICATION, name=name, version=version, bom_ref=f"{name}@{version}")
    bom = Bom(components=components, serial_number=uuid.UUID(int=0))
    bom.metadata.component = root
    bom.register_dependency(root, bom.components)
    made: dict[str, Any] = json.loads(make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string())
    del made["metadata"]["timestamp"]
    made["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(made, sort_keys=True)).urn
    return made


def main(pyproject: Path, status: Path) -> None:
    """Print the bill of materials of this environment."""
    present = image_packages.installed()
    names = image_packages.needed(image_packages.project_requirements(pyproject), present)
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    release = platform.freedesktop_os_release()
    components = [
        *debian_components(
            status.read_text(encoding="utf-8"), f"{release['ID']}-{release.get('VERSION_ID', '')}"
        ),
        *python_components(present[found] for found in sorted(names)),
    ]
    print(json.dumps(document(project["name"], project["version"], components), indent=1, sort_keys=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
