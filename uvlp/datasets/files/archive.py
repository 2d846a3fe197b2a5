"""Dataset archives: download once, verify, unpack into a folder that is either complete or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.downloads import Download
from uvlp.core.files.foreign_files import check_regular, first_bytes, wrong_content
from uvlp.core.files.leases import lease
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.writing import write_utf8
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Progress
from uvlp.datasets.files.download import download, part_of
from uvlp.datasets.files.unpack import is_archive, unpack
from uvlp.recipes.dataset_size import DatasetSize

SLACK_BYTES = 10**8  # tolerated beyond twice the expected size


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """An archive to download and unpack.

    Attributes:
        url: download URL; its last component is the file name.
        md5: published hash, hexadecimal; empty if there is none: the first download's SHA-256 is recorded.
        bytes: size of the archive.
        unpacked_bytes: approximate size of its content.
        folder: the top-level folder in it.
    """

    url: str
    md5: str
    bytes: int
    unpacked_bytes: int
    folder: str

    @property
    def name(self) -> str:
        """File name of the archive."""
        return self.url.rsplit("/", 1)[-1]


def archived_size(
    archive: Archive, classes: int, counts: tuple[int, int], image_pixels: int, source: str
) -> DatasetSize:
    """Size of the dataset in an archive; ``counts``: training and validation images."""
    return DatasetSize(
        classes=classes,
        train=counts[0],
        val=counts[1],
        image_pixels=image_pixels,
        disk_bytes=archive.unpacked_bytes,
        archive_bytes=archive.bytes,
        source=source,
    )


def planned(archive: Archive, root: Path, what: str) -> Download | None:
    """The download that :func:`prepare` would still make; None if the folder exists.

    Args:
        what: the dataset, for messages.
    """
    if (root / archive.folder).is_dir():
        return None
    part = part_of(root / archive.name)
    received = part.stat().st_size if part.is_file() else 0
    exists = (root / archive.name).is_file()
    checked = "its published MD5" if archive.md5 else "the SHA-256 recorded at the first download"
    return Download(
        what=what,
        urls=(archive.url,),
        bytes=0 if exists else max(0, archive.bytes - received),
        disk_bytes=archive.bytes + archive.unpacked_bytes,
        note=f"verified against {checked}; {archive.name} is "
        f"{'already there and is kept' if exists else 'deleted after unpacking'}, "
        f"its content takes {archive.unpacked_bytes / 1e9:.1f} GB",
    )


def prepare(archive: Archive, root: Path, progress: Progress) -> None:
    """Create ``root/<folder>``: download what is missing, verify it, unpack it, delete the download.

    Does nothing if the folder exists. Concurrent processes wait for each other.

    Raises:
        UvlpError: no space, no connection, a hash mismatch, a damaged archive or one with paths outside it.
    """
    path, waiting = root / archive.name, f"waiting: another process is fetching into {root}"
    with _explain_folder_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with lease.acquire(root / f".{archive.folder}.lease", lambda _: progress.log(waiting)):
            if (root / archive.folder).is_dir():
                return
            fetched = not path.exists()
            if fetched:
                _check_space(archive, root)
                download(archive.url, path, progress, at_most=2 * archive.bytes + SLACK_BYTES)
            _check_kind(path)
            sha256 = check_hash(archive, path)
            unpack(path, root, archive.folder, progress, at_most=2 * archive.unpacked_bytes + SLACK_BYTES)
            if sha256:
                _record(archive, path, sha256, progress)
            if fetched:
                path.unlink()
            else:
                progress.log(f"{path} already existed: it is kept, but no longer needed")


def _explain_folder_errors(root: Path) -> contextlib.AbstractContextManager[None]:
    fix = "free some space or choose another folder with --data; the partial download is kept"
    return explain_os_errors(root, "cannot write the data folder", fix)


def _check_space(archive: Archive, root: Path) -> None:
    part = part_of(root / archive.name)
    received = part.stat().st_size if part.is_file() else 0
    needed = archive.bytes - received + archive.unpacked_bytes
    fix = "free some space or choose another folder with --data"
    check_space(f"{archive.name} and its content", root, needed, fix)


def _check_kind(path: Path) -> None:
    """Refuse a file that is not an archive, such as a network's login page, before its hash is recorded."""
    check_regular(path, "archive")
    if is_archive(path):
        return
    beginning = first_bytes(path)
    other = wrong_content(beginning)
    raise UvlpError(
        f"{path} is not an archive",
        got=other.title if other else beginning[:40].decode("ascii", "replace") or "an empty file",
        allowed="a tar or zip file; a network that requires a login may send its login page instead",
        fix=other.fix if other else "delete it and fetch again, or copy the archive there yourself",
    )


def check_hash(archive: Archive, path: Path) -> str:
    """Compare the file's hash with the published one, else with the one recorded at the first download.

    Returns:
        Its SHA-256 if there is no hash to compare with, to be recorded once the archive has been unpacked
        completely; else the empty string.

    Raises:
        UvlpError: the hashes differ; both are given.
    """
    record = _record_of(path)
    if archive.md5:
        with path.open("rb") as file:
            kind, actual = "MD5", hashlib.file_digest(file, _md5).hexdigest()
        expected, origin = archive.md5, "published"
    else:
        kind, actual = "SHA-256", file_sha256(path)
        expected, origin = _recorded(record), f"recorded in {record}"
    if actual == expected:
        return ""
    if expected:
        again = "" if archive.md5 else f"; if the publisher has replaced the file, also delete {record}"
        raise UvlpError(
            f"the {kind} of {path} is not the one {origin}",
            got=actual,
            allowed=expected,
            fix=f"delete the file and fetch again{again}",
        )
    return actual


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _record(archive: Archive, path: Path, sha256: str, progress: Progress) -> None:
    record = _record_of(path)
    write_utf8(record, json.dumps({"url": archive.url, "sha256": sha256}, indent=1) + "\n")
    progress.log(f"{path.name}: no hash is published; its SHA-256 {sha256} is recorded in {record}")


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _recorded(record: Path) -> str:
    """The SHA-256 recorded at an earlier download; empty if there was none."""
    if not record.exists():
        return ""
    check_regular(record)
    try:
        return str(json_files.parse(record.read_bytes())["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise UvlpError(f"{record} is damaged", got=str(error), fix="delete it and fetch again") from error
