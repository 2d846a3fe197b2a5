"""The store: artifacts below ``<root>/<kind>/<key>/``, complete if and only if they have a manifest.

An artifact is built in a temporary folder under a lock, flushed to disk and renamed last. Locks belong to the
operating system and end with their process, so a temporary folder whose lock is free was left by a killed
run.

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
from uvlp.core import streams
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.writing import keep_folder
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

    def begin(self) -> None:
        """Check the folder before anything is written into it, and print notes about it.

        Raises:
            UvlpError: see `store_mark.begin`.
        """
        store_mark.begin(self.root, lambda text: streams.print_error(f"note   {text}"))

    def prepare(self) -> None:
        """Create the root, test that it is writable, and remove leftovers of killed runs.

        Raises:
            UvlpError: the folder cannot be created or written.
        """
        with explain_store_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"uvlp")
                probe.flush()
            store_mark.write(self.root)
            (self.root / ".tmp").mkdir(exist_ok=True)
            (self.root / ".locks").mkdir(exist_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Delete temporary folders, and partial folders of finished artifacts.

        A run that is killed right after it finished an artifact leaves such parts, gigabytes for a model.
        """
        if not store_mark.is_marked(self.root):
            return
        parts = self.root / "partial"
        leftovers = [*(self.root / ".tmp").iterdir(), *(parts.iterdir() if parts.is_dir() else ())]
        for folder in leftovers:
            if store_mark.UNFINISHED.fullmatch(folder.name):
                with contextlib.suppress(TimeoutError), self._lock(folder.name).acquire(timeout=0):
                    if folder.parent != parts or self._is_finished(folder.name):
                        shutil.rmtree(folder, ignore_errors=True)

    def _is_finished(self, name: str) -> bool:
        """Return whether the artifact ``kind-key`` exists and is complete."""
        return (self.root / name.replace("-", "/", 1) / MANIFEST).is_file()

    def _lock(self, name: str) -> Any:
        # The import takes 20 ms and is not needed if nothing is built.
        from filelock import FileLock

        return FileLock(self.root / ".locks" / f"{name}.lock")

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
            streams.print_error(f"note   {name}: {text}")
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
            if not (self.root / score / MANIFEST).is_file():
                continue
            wrong = self._verified.damage(score)
            if wrong:
                return f"{score}/{wrong}"
            current = self._verified.sha256(score, scores.FILE)
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
        removed = self.root / ".tmp" / f"{task.kind}-{task.key}.removed"
        with explain_store_errors(self.root):
            aside = self._set_aside(task, _not_listed(folder))
            shutil.rmtree(removed, ignore_errors=True)
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
        """Lock the artifact and yield an empty folder to fill; None if another process finished it.

        The caller finishes with :meth:`commit`; an exception leaves nothing behind.
        """
        name = f"{task.kind}-{task.key}"
        lock = self._lock(name)
        try:
            lock.acquire(timeout=0)
        except TimeoutError:
            log(f"waiting: another uvlp process is making {task.name} ({task.title})")
            lock.acquire()
        folder = self.root / ".tmp" / name
        try:
            if self.has(task):
                yield None
                return
            shutil.rmtree(folder, ignore_errors=True)
            with explain_store_errors(self.root):
                self._clear(task, log)
                folder.mkdir(parents=True)
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release()

    def _clear(self, task: Task, log: Callable[[str], None]) -> None:
        """Set aside files in the artifact's folder, which without a manifest do not belong to the store."""
        folder = self.folder(task)
        if folder.is_dir() and any(folder.iterdir()):
            aside = self._aside(task)
            os.rename(folder, aside)
            log(f"files in {task.name} without a manifest were moved to {aside}")

    def partial(self, task: Task) -> Path:
        """Return the folder of an unfinished artifact from which the next run can resume."""
        folder = self.root / "partial" / f"{task.kind}-{task.key}"
        with explain_store_errors(self.root):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def commit(self, task: Task, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the manifest, flush everything to disk and move ``folder`` to its final place."""
        files = {
            path.relative_to(folder).as_posix(): file_sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        content = json.dumps(
            manifest(task, files, facts, self._input_hashes(task)), indent=1, ensure_ascii=False
        )
        (folder / MANIFEST).write_text(content + "\n", encoding="utf-8")
        keep_folder(folder, self.folder(task))
        shutil.rmtree(self.root / "partial" / f"{task.kind}-{task.key}", ignore_errors=True)

    def _input_hashes(self, task: Task) -> dict[str, str]:
        """Return the SHA-256 of the scores of a table."""
        if task.kind != tables.KIND:
            return {}
        hashes = {name: self._verified.sha256(score.name, scores.FILE) for name, score in task.inputs.items()}
        return {name: sha256 for name, sha256 in hashes.items() if sha256}


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
