"""What an archive with a DOI needs: source, image, results, packages, checksums and metadata in one folder.

    python -m tools.archive FOLDER [--image uvlp] [--store DIR]

writes the source of the last commit, the container image (`docker save`), tables, scores and dataset facts of
a store (which `uvlp verify` reads), the packages of the lock as a CycloneDX list, `.zenodo.json` and
`SHA256SUMS`. What is not at hand is left out and reported. Uploading it, and the DOI, are the authors' step.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import file_sha256
from uvlp.exchange import results_archive

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "docker" / "requirements.lock"


def citation() -> dict[str, Any]:
    """The content of CITATION.cff."""
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    return found


def zenodo() -> dict[str, Any]:
    """The metadata of the deposit, from CITATION.cff."""
    about = citation()
    return {
        "title": about["title"],
        "description": about["abstract"].strip(),
        "version": about["version"],
        "upload_type": "software",
        "license": about["license"],
        "creators": [{"name": author["name"]} for author in about["authors"]],
        "keywords": about["keywords"],
    }


def packages() -> list[dict[str, Any]]:
    """The locked packages as CycloneDX components, with the hash of every file that may be installed."""
    components: list[dict[str, Any]] = []
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        pinned = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line)
        sha256 = re.search(r"--hash=sha256:([0-9a-f]{64})", line)
        if pinned:
            name, version = pinned.groups()
            url = f"pkg:pypi/{name.lower()}@{version}"
            components.append(
                {"type": "library", "name": name, "version": version, "purl": url, "hashes": []}
            )
        elif sha256:
            components[-1]["hashes"].append({"alg": "SHA-256", "content": sha256[1]})
    return components


def git(*arguments: str) -> str:
    """What git prints, in this repository."""
    call = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(call, check=True, capture_output=True, encoding="utf-8").stdout.strip()


def write_source(folder: Path) -> None:
    """The files of the last commit.

    Raises:
        UvlpError: files that belong to no commit.
    """
    changed = git("status", "--porcelain", "--untracked-files=no")
    if changed:
        raise UvlpError(
            "the source is not that of a commit", got=changed.splitlines()[0].strip(), fix="commit"
        )
    name = f"uvlp-{citation()['version']}"
    git("archive", "--format=tar.gz", f"--prefix={name}/", "-o", str(folder / f"{name}.tar.gz"), "HEAD")


def write_image(folder: Path, image: str) -> str:
    """The container image; why it is left out, or ""."""
    if shutil.which("docker") is None:
        return "no docker here"
    target = folder / f"{image.replace('/', '_').replace(':', '_')}-image.tar"
    command = ["docker", "save", "-o", str(target), image]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if ran.returncode:
        target.unlink(missing_ok=True)
        return (ran.stderr.strip().splitlines() or ["docker save failed"])[-1]
    return ""


def write_results(folder: Path, store: Path | None) -> str:
    """Tables, scores and dataset facts of a store; why they are left out, or ""."""
    if store is None:
        return "no --store given"
    results_archive.pack([], Store(store), folder / "uvlp-results.tar.gz")
    return ""


def write_json(path: Path, value: Any) -> None:
    """A value as indented JSON."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_checksums(folder: Path) -> None:
    """SHA256SUMS of every other file, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{file_sha256(path)}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def write(folder: Path, image: str, store: Path | None) -> list[str]:
    """Fill an empty or new folder; what was left out, one line each.

    Raises:
        UvlpError: a folder that holds something, uncommitted changes, or a store without tables.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UvlpError("the folder of the archive is not empty", got=str(folder), fix="name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    write_source(folder)
    steps: dict[str, Callable[[], str]] = {
        "results": lambda: write_results(folder, store),
        "image": lambda: write_image(folder, image),
    }
    reasons = {what: step() for what, step in steps.items()}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": packages()}
    write_json(folder / "sbom.cdx.json", bom)
    write_json(folder / ".zenodo.json", zenodo())
    write_checksums(folder)
    return [f"left out: {what} ({why})" for what, why in reasons.items() if why]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image", default="uvlp", help="name of the built image")
    parser.add_argument("--store", type=Path, help="a store whose tables are archived")
    chosen = parser.parse_args()
    try:
        left_out = write(chosen.folder, chosen.image, chosen.store)
    except UvlpError as error:
        print(f"archive: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join([*(f"{path.name}" for path in sorted(chosen.folder.iterdir())), *left_out]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
