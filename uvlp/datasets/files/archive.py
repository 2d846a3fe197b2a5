"""Archives of datasets: downloaded once, checked, unpacked into a folder that is whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.downloads import Download
from uvlp.core.files.foreign_files import begins, check_regular, impostor
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.writing import write_utf8
from uvlp.core.hashing import file_sha256
from uvlp.core.progress import Progress
from uvlp.datasets.files.download import download, part_of
from uvlp.datasets.files.unpack import is_archive, unpack
from uvlp.recipes.dataset_size import DatasetSize

SLACK_BYTES = 10**8  # an archive may hold so much more than twice what its content takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A file to be downloaded and unpacked.

    Attributes:
        url: where it comes from; its last part is the file's name.
        md5: published hash, hexadecimal; empty: none is known, the first download's SHA-256 is recorded.
        bytes: size of the file.
        unpacked_bytes: about what its content takes.
        folder: the folder that it holds.
    """

    url: str
    md5: str
    bytes: int
    unpacked_bytes: int
    folder: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[-1]


def archived_size(
    archive: Archive, classes: int, counts: tuple[int, int], image_pixels: int, source: str
) -> DatasetSize:
    """How large the dataset in an archive is; ``counts``: training and validation images."""
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
    """What :func:`prepare` would still transfer; None if the folder is there.

    Args:
        what: the dataset, in words.
    """
    if (root / archive.folder).is_dir():
        return None
    part = part_of(root / archive.name)
    have = part.stat().st_size if part.is_file() else 0
    here = (root / archive.name).is_file()
    checked = "its published MD5" if archive.md5 else "the SHA-256 recorded at the first download"
    return Download(
        what=what,
        urls=(archive.url,),
        bytes=0 if here else max(0, archive.bytes - have),
        disk_bytes=archive.bytes + archive.unpacked_bytes,
        note=f"checked against {checked}; {archive.name} is {'there and stays' if here else 'deleted after'}"
        f"{'' if here else ' unpacking'}, its content takes {archive.unpacked_bytes / 1e9:.1f} GB",
    )


def prepare(archive: Archive, root: Path, progress: Progress) -> None:
    """Make ``root/<folder>``: download what is missing, check it, unpack it, delete what was downloaded.

    Nothing is done where the folder is there. Two processes wait for each other.

    Raises:
        UvlpError: no space, no connection, a wrong hash, a damaged archive or one whose paths leave it.
    """
    path = root / archive.name
    with _explain_folder_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root / f".{archive.folder}.lock", progress):
            if (root / archive.folder).is_dir():
                return
            own = not path.exists()
            if own:
                _check_space(archive, root)
                download(archive.url, path, progress, at_most=2 * archive.bytes + SLACK_BYTES)
            _check_kind(path)
            sha256 = check_hash(archive, path)
            unpack(path, root, archive.folder, progress, at_most=2 * archive.unpacked_bytes + SLACK_BYTES)
            if sha256:
                _record(archive, path, sha256, progress)
            if own:
                path.unlink()
            else:
                progress.say(f"{path} was there before: it is kept, and no longer needed")


@contextlib.contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    from filelock import FileLock  # costs 20 ms

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except TimeoutError:
        progress.say(f"waiting: another process is fetching into {lock.parent}")
        held.acquire()
    try:
        yield
    finally:
        held.release()


def _explain_folder_errors(root: Path) -> contextlib.AbstractContextManager[None]:
    fix = "free some space or choose another folder with --data; what has arrived is kept"
    return explain_os_errors(root, "cannot write the data folder", fix)


def _check_space(archive: Archive, root: Path) -> None:
    part = part_of(root / archive.name)
    have = part.stat().st_size if part.is_file() else 0
    needed = archive.bytes - have + archive.unpacked_bytes
    fix = "free some space or choose another folder with --data"
    check_space(f"{archive.name} and its content", root, needed, fix)


def _check_kind(path: Path) -> None:
    """Refuse what is no archive, such as the log-in page of a network, before anything is believed of it."""
    check_regular(path, "archive")
    if is_archive(path):
        return
    beginning = begins(path)
    other = impostor(beginning)
    raise UvlpError(
        f"{path} is no archive",
        got=other.title if other else beginning[:40].decode("ascii", "replace") or "an empty file",
        allowed="a tar or zip file; a network that asks for a log-in first answers with a page",
        fix=other.fix if other else "delete it and fetch again, or put the archive there yourself",
    )


def check_hash(archive: Archive, path: Path) -> str:
    """Compare the file with the published hash, else with the one recorded at the first download.

    Returns:
        Its SHA-256 where there is none to compare with; it is to be recorded once the archive has been
        unpacked as a whole. Else the empty string.

    Raises:
        UvlpError: another hash; both are named.
    """
    record = _record_of(path)
    if archive.md5:
        with path.open("rb") as file:
            kind, found = "MD5", hashlib.file_digest(file, _md5).hexdigest()
        expected, said_by = archive.md5, "published"
    else:
        kind, found = "SHA-256", file_sha256(path)
        expected, said_by = _recorded(record), f"recorded in {record}"
    if found == expected:
        return ""
    if expected:
        again = "" if archive.md5 else f"; where the publisher has changed it, delete {record} as well"
        raise UvlpError(
            f"{path} has another {kind} than the one {said_by}",
            got=found,
            allowed=expected,
            fix=f"delete the file and fetch again{again}",
        )
    return found


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _record(archive: Archive, path: Path, sha256: str, progress: Progress) -> None:
    record = _record_of(path)
    write_utf8(record, json.dumps({"url": archive.url, "sha256": sha256}, indent=1) + "\n")
    progress.say(f"{path.name}: no hash is published; its SHA-256 {sha256} is recorded in {record}")


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)


def _recorded(record: Path) -> str:
    """The SHA-256 of an earlier download, empty if there was none."""
    if not record.exists():
        return ""
    check_regular(record)
    try:
        return str(json_files.parse(record.read_bytes())["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise UvlpError(f"{record} is damaged", got=str(error), fix="delete it and fetch again") from error
