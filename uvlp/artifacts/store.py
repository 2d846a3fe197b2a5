"""The store: artifacts below ``<root>/<kind>/<key>/``, complete if and only if they have a manifest.

An artifact is built in a temporary folder of its maker, flushed to disk and renamed last. If several
processes build it, on one host or several, the first to rename wins: a finished artifact is never replaced.
A lease (`core/files/leases`) avoids that work is done twice, and tells which temporary folders a killed run
left.

Only files with a store's own names in a folder marked as a store are deleted; other files in the folder of an
artifact are set aside.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from uvlp.artifacts import scores, tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.checks.verified import Verified
from uvlp.artifacts.task import MANIFEST, Task, manifest, read_manifest
from uvlp.core.display import messages
from uvlp.core.files.leases import lease
from uvlp.core.files.leases.host import Process
from uvlp.core.files.leases.lease import Lease
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.writing import check_renaming, keep_folder
from uvlp.core.hashing import file_sha256


class Store:
    """A folder of artifacts. Nothing is written before the first artifact is built."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._verified = Verified(self.root, self.root / ".verified.json")

    @property
    def cache(self) -> Path:
        """Folder of cached dataset manifests; its content can always be recomputed."""
        return self.root / "datasets"

    def folder(self, task: Task) -> Path:
        """Return the folder of the artifact of ``task``, existing or not."""
        return self.root / task.kind / task.key

    def has(self, task: Task) -> bool:
        """Return whether the artifact exists and is complete."""
        return (self.folder(task) / MANIFEST).is_file()

    def sees(self, task: Task) -> bool:
        """Like `has`, but asks a network file system again for what another host may just have finished."""
        folder = self.folder(task)
        for each in (folder.parent, folder):
            _ask_again(each)
        return self.has(task)

    def begin(self) -> None:
        """Check the folder before anything is written into it, and print notes about it.

        Raises:
            UvlpError: see `store_mark.begin`.
        """
        store_mark.begin(self.root, messages.note)

    def prepare(self) -> None:
        """Create the root, test that it is writable, and remove leftovers of killed runs.

        Raises:
            UvlpError: the folder cannot be created or written, or its file system cannot rename folders.
        """
        with explain_store_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            if not store_mark.is_marked(self.root):
                check_renaming(self.root)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"uvlp")
                probe.flush()
            store_mark.write(self.root)
            (self.root / ".tmp").mkdir(exist_ok=True)
            (self.root / ".locks").mkdir(exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Delete temporary folders, partial folders of finished artifacts, and leases that were taken away.

        A run that is killed right after it finished an artifact leaves such parts, gigabytes for a model.
        """
        if not store_mark.is_marked(self.root):
            return
        parts = self.root / "partial"
        leftovers = [folder / name for folder in (self.root / ".tmp", parts) for name in _listed(folder)]
        # Listed after the folders: who made one of them holds its lease, unless it has ended.
        held = set(_listed(self.root / ".locks"))
        for folder in leftovers:
            name = store_mark.UNFINISHED.fullmatch(folder.name)
            if name is None or (folder.parent == parts and not self._is_finished(name["artifact"])):
                continue
            path = self._lease_path(name["lease"])
            if path.name not in held or self._has_ended(path, name["token"]):
                self._delete(folder, name["lease"])
        for each in held:
            if store_mark.TAKEN_AWAY.fullmatch(each):
                with contextlib.suppress(OSError):
                    (self.root / ".locks" / each).unlink()

    def _delete(self, folder: Path, name: str) -> None:
        """Delete a folder that its maker may still publish, if it was only stopped: rename it first.

        Otherwise what is deleted could be published while half of its files are left.
        """
        removed = self.root / ".tmp" / f"{name}.removed.{lease.new_token()}"
        with contextlib.suppress(OSError):
            os.rename(folder, removed)
            shutil.rmtree(removed, ignore_errors=True)

    def _has_ended(self, path: Path, token: str | None) -> bool:
        """Return whether nobody holds a lease, or somebody else than ``token`` does."""
        content = lease.read(path)
        holder = lease.holder_of(content)
        if content is None or holder is None:
            return content is None  # one that cannot be read ends when somebody waits for it
        return (token is not None and holder[0] != token) or holder[1].is_known_dead

    def _is_finished(self, name: str) -> bool:
        """Return whether the artifact ``kind-key`` exists and is complete."""
        return (self.root / name.replace("-", "/", 1) / MANIFEST).is_file()

    def _lease_path(self, name: str) -> Path:
        return self.root / ".locks" / f"{name}.lease"

    def lease(self, name: str, what: str, log: Callable[[str], None]) -> Lease:
        """Return the lease of an artifact, or of a piece of it, after waiting for its holder.

        Args:
            name: ``kind-key`` of an artifact, with a suffix ``.part-<i>-of-<n>`` for a piece.
            what: what is made, for the message.
            log: called with a message if the lease is held.

        Raises:
            UvlpError: the store cannot be written.
        """
        path = self._lease_path(name)

        def waits(holder: Process | None) -> None:
            if holder is None:
                limit = f"it ends after {lease.STALE_S:.0f} s without a change"
                log(f"waiting: the lease {path} of {what} is damaged, {limit}")
                return
            there = "" if holder.host == os.uname().nodename else f" on {holder.host}"
            log(f"waiting: another uvlp process{there} is making {what}")

        with explain_store_errors(self.root):
            return lease.acquire(path, waits)

    def damage(self, task: Task) -> str | None:
        """Return the first damaged file of a finished artifact with the reason; None if intact.

        A table is also damaged if one of its scores has changed since it was built.
        """
        return self.damage_of(task.name)

    def damage_of(self, name: str) -> str | None:
        """Return the damage of the artifact ``kind/key``; see :meth:`damage`."""
        scores_wrong = self._damaged_score(name) if name.startswith(f"{tables.KIND}/") else None
        wrong = scores_wrong or self._verified.damage(name)
        if wrong is None and name in self._verified.fresh and self._lacks_hashes(name):
            text = "built by an earlier version, without hashes of its scores; its numbers agree with them"
            messages.note(f"{name}: {text}")
        return wrong

    def _damaged_score(self, name: str) -> str | None:
        """Return what is wrong with the scores of a table; missing ones are not compared."""
        try:
            content = read_manifest(self.root / name)
            inputs, hashes = dict(content["inputs"]), dict(content.get("inputs_sha256", {}))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None  # reported for the manifest itself
        for title, key in inputs.items():
            score = f"{scores.KIND}/{key}"
            wrong, current = self._verified.checked_sha256(score, scores.FILE)
            if wrong and not (self.root / score / MANIFEST).is_file():
                continue
            if wrong:
                return f"{score}/{wrong}"
            if hashes.get(title, current) != current:
                return f"{MANIFEST} ({score} changed after the table was built)"
        return None

    def _lacks_hashes(self, name: str) -> bool:
        return name.startswith(f"{tables.KIND}/") and "inputs_sha256" not in read_manifest(self.root / name)

    def save_verified(self) -> None:
        """Write the cache of verified files, so that the next run need not read them."""
        with contextlib.suppress(OSError):
            self._verified.save()

    def remove(self, task: Task) -> Path | None:
        """Delete the files of an artifact's manifest atomically.

        Returns:
            New folder of other files that were in its folder; None if there were none.
        """
        folder = self.folder(task)
        removed = self.root / ".tmp" / f"{task.kind}-{task.key}.removed.{lease.new_token()}"
        with explain_store_errors(self.root):
            aside = self._set_aside(task, _not_listed(folder))
            removed.parent.mkdir(exist_ok=True)
            os.rename(folder, removed)
        shutil.rmtree(removed, ignore_errors=True)
        return aside

    def _set_aside(self, task: Task, files: list[Path]) -> Path | None:
        """Move files out of an artifact's folder."""
        if not files:
            return None
        aside = self._aside(task)
        for path in files:
            target = aside / path.relative_to(self.folder(task))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, target)
        return aside

    def _aside(self, task: Task) -> Path:
        """Return a new path for files that are set aside and never deleted."""
        parent = self.root / "set_aside"
        parent.mkdir(exist_ok=True)
        number = 1
        while (aside := parent / f"{task.kind}-{task.key}-{number}").exists():
            number += 1
        return aside

    @contextlib.contextmanager
    def making(self, task: Task, log: Callable[[str], None]) -> Iterator[Path | None]:
        """Lease the artifact and yield an empty folder to fill; None if another process finished it.

        The caller finishes with :meth:`commit`; an exception leaves nothing behind. It is dropped if another
        process finished the artifact: this one was stopped for so long that it lost the lease, or waited for
        one that was, and the other removed its files.
        """
        name, what = f"{task.kind}-{task.key}", f"{task.name} ({task.title})"
        held = self.lease(name, what, log)
        folder = self.root / ".tmp" / f"{name}.{held.token}"
        try:
            if self.sees(task):
                yield None
                return
            with explain_store_errors(self.root):
                self._clear(task, log)
                folder.mkdir(parents=True)
                yield folder
        except Exception:
            if not held.is_held:
                log(f"another uvlp process took over {what} while this one was stopped")
                self.lease(name, what, log).release()
            if not self.sees(task):
                raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            held.release()

    @contextlib.contextmanager
    def making_piece(self, task: Task, name: str, log: Callable[[str], None]) -> Iterator[bool]:
        """Lease a piece of an artifact, e.g. ``part-2-of-8``; yield whether it is still needed.

        An exception is dropped if another process finished the artifact, and removed its parts.
        """
        held = self.lease(f"{task.kind}-{task.key}.{name}", f"{name} of {task.name} ({task.title})", log)
        try:
            with explain_store_errors(self.root):
                yield not self.sees(task)
        except Exception:
            if not self.sees(task):
                raise
        finally:
            held.release()

    def _clear(self, task: Task, log: Callable[[str], None]) -> None:
        """Set aside files in the artifact's folder, which without a manifest do not belong to the store."""
        folder = self.folder(task)
        names = _listed(folder)
        if names and MANIFEST not in names:
            aside = self._aside(task)
            os.rename(folder, aside)
            if MANIFEST in _listed(aside):  # finished by another process in the meantime
                os.rename(aside, folder)
                return
            log(f"files in {task.name} without a manifest were moved to {aside}")

    def partial(self, task: Task) -> Path:
        """Return the folder of an unfinished artifact from which the next run can resume.

        It belongs to no process: whoever holds the lease next resumes in it, while a process that lost the
        lease may still write. So a file in it has a unique temporary name until it is complete, and is
        compared with its hash before it is used.
        """
        folder = self.root / "partial" / f"{task.kind}-{task.key}"
        with explain_store_errors(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def commit(self, task: Task, folder: Path, facts: Mapping[str, Any]) -> bool:
        """Write the manifest, flush everything to disk and move ``folder`` to its final place.

        Returns:
            False if another process finished the artifact first: its files are kept, ``folder`` is not used.

        Raises:
            OSError: it cannot be written or moved.
        """
        files = {
            path.relative_to(folder).as_posix(): file_sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        content = json.dumps(
            manifest(task, files, facts, self._input_hashes(task)), indent=1, ensure_ascii=False
        )
        (folder / MANIFEST).write_text(content + "\n", encoding="utf-8")
        try:
            keep_folder(folder, self.folder(task))
            published = True
        except OSError:
            if not self.sees(task):
                raise
            published = False
        name = f"{task.kind}-{task.key}"
        self._delete(self.root / "partial" / name, name)
        return published

    def _input_hashes(self, task: Task) -> dict[str, str]:
        """Return the SHA-256 of the scores of a table."""
        if task.kind != tables.KIND:
            return {}
        hashes = {name: self._verified.sha256(score.name, scores.FILE) for name, score in task.inputs.items()}
        return {name: sha256 for name, sha256 in hashes.items() if sha256}


def _ask_again(folder: Path) -> None:
    """Make a network file system forget what it cached about the names in a folder.

    Opening a folder compares it with the server ("close-to-open", nfs(5)); testing a name in it does not.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))


def _listed(folder: Path) -> list[str]:
    """Return the names in a folder, as the server of a network file system has them now."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _not_listed(folder: Path) -> list[Path]:
    """Return the files of an artifact's folder that its manifest does not list; all without a manifest."""
    try:
        listed = {MANIFEST, *read_manifest(folder)["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        listed = set()
    files = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return [path for path in files if path.relative_to(folder).as_posix() not in listed]


def explain_store_errors(root: Path) -> contextlib.AbstractContextManager[None]:
    """Turn errors of the operating system when writing below ``root`` into one clear line."""
    fix = "free some space, make it writable, or choose another folder with --store; "
    fix += "finished artifacts are kept"
    return explain_os_errors(root, "cannot write the store", fix)
