"""An archive of finished results: tables, their scores and dataset records, as `uvlp verify` reads them.

It is a store without images and models: every check but `--rerun` works on it, on any machine. The same
results give the same bytes.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uvlp.artifacts import scores, tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST
from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import explain_os_errors
from uvlp.core.files.paths import check_folder
from uvlp.core.files.writing import complete_file
from uvlp.core.hashing import file_sha256
from uvlp.pipeline import stored_tables
from uvlp.pipeline.datasets import record_file
from uvlp.pipeline.stored_tables import Stored

ROOT = "uvlp-results"
"""The folder in the archive."""
ENDINGS = (".tar", ".tar.gz", ".tgz")
FIX = "free some space, make it writable, or name another file with --out; nothing else was changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A written archive.

    Attributes:
        file: where it lies.
        sha256: of its bytes.
        root: the folder in it.
        tables: names of the tables.
        artifacts: ``kind/key`` of everything in it.
    """

    file: Path
    sha256: str
    root: str
    tables: tuple[str, ...]
    artifacts: tuple[str, ...]


def pack(names: Sequence[str], store: Store, out: Path) -> Packed:
    """Write the tables of these names, or all, with what is behind them that `uvlp verify` reads.

    Args:
        names: names or keys of tables; empty: every table.
        store: the store.
        out: a new file; the same archive may be there.

    Raises:
        UvlpError: nothing is finished, no such table, an artifact is damaged or missing, ``out`` is another
            file or has another ending, or the disk is full.
    """
    if not out.name.endswith(ENDINGS):
        raise UvlpError("the archive has no known ending", got=out.name, allowed=", ".join(ENDINGS))
    check_folder("folder of the archive", out.parent, "--out PATH")
    chosen = _tables(names, store)
    artifacts = list(_artifacts(chosen, store))
    files = dict(_files(artifacts, chosen, store))
    out = out.absolute()
    with explain_os_errors(out.parent, "cannot write the archive", FIX):
        if out.exists():
            _check_same(files, out)
        else:
            with complete_file(out) as unfinished:
                _write(files, unfinished, compressed=not out.name.endswith(".tar"))
        return Packed(
            file=out,
            sha256=file_sha256(out),
            root=ROOT,
            tables=tuple(table.name for table in chosen),
            artifacts=tuple(artifacts),
        )


def _tables(names: Sequence[str], store: Store) -> list[Stored]:
    if names:
        found = [stored_tables.find(name, store) for name in names]
        return list({table.key: table for table in found}.values())
    complete, damaged = stored_tables.measured(store)
    if damaged:
        raise stored_tables.damaged(damaged[0])
    if not complete:
        fix = "run `uvlp reproduce` first, or name another store with --store"
        raise UvlpError("no table is finished in this store", got=str(store.root), fix=fix)
    return list(complete.values())


def _artifacts(chosen: Iterable[Stored], store: Store) -> Iterable[str]:
    """Yield tables and their scores, each once.

    Raises:
        UvlpError: a score is missing or damaged.
    """
    yield from (f"{tables.KIND}/{table.key}" for table in chosen)
    behind = {f"{scores.KIND}/{key}": table for table in chosen for key in table.content["inputs"].values()}
    for name, table in sorted(behind.items()):
        missing = not (store.root / name / MANIFEST).is_file()
        damage = "it" if missing else store.damage_of(name)
        if damage is not None:
            raise UvlpError(
                f"{name} behind the table {table.name}: {damage} is missing or changed",
                fix="re-run the command that made the table with --force",
            )
        yield name
    store.save_verified()


def _files(artifacts: Iterable[str], chosen: Iterable[Stored], store: Store) -> Iterable[tuple[str, Path]]:
    """Yield every file by its name in the archive."""
    if store_mark.is_marked(store.root):
        yield store_mark.MARK, store.root / store_mark.MARK
    for content_hash in sorted({str(table.content["dataset"]) for table in chosen}):
        record = record_file(store.cache, content_hash)
        if record is not None:
            yield f"{store.cache.name}/{record.name}", record
    for name in artifacts:
        for path in sorted((store.root / name).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(store.root).as_posix(), path


def _write(files: dict[str, Path], target: Path, *, compressed: bool) -> None:
    with target.open("wb") as raw:
        # Neither the time nor the name of the file is part of the compressed bytes.
        inner = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if compressed else None
        with tarfile.open(fileobj=inner or raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, path in sorted(files.items()):
                content = path.read_bytes()
                entry = tarfile.TarInfo(f"{ROOT}/{name}")
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        if inner is not None:
            inner.close()


def _check_same(files: dict[str, Path], out: Path) -> None:
    """Refuse an existing file that is not this archive.

    Raises:
        UvlpError: names the file.
    """
    wanted = {f"{ROOT}/{name}": path for name, path in files.items()}
    try:
        with tarfile.open(out) as archive:
            found = {each.name: each for each in archive}
            same = found.keys() == wanted.keys() and all(
                each.isfile()
                and (file := archive.extractfile(each))
                and file.read() == wanted[name].read_bytes()
                for name, each in found.items()
            )
    except (tarfile.TarError, EOFError, gzip.BadGzipFile):
        same = False
    if not same:
        fix = "move it away, or name another file with --out"
        raise UvlpError("the file of the archive is taken", got=str(out), allowed="a new file", fix=fix)
