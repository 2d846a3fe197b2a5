"""Where the published models lie on this machine, what they are, and how they get here.

A model is named by a hub repository with a pinned commit, or by a folder in the same layout. `find` needs no
network and opens no weight that it has hashed before; a copy and the repository with the same bytes have the
same hash, which is a model's share of every artifact key.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from uvlp.core import hashing
from uvlp.core.errors import UvlpError
from uvlp.core.files import safetensors_file
from uvlp.core.files.downloads import Download
from uvlp.core.hashing import HashCache, digest
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size
from uvlp.models.published import hub, kinds
from uvlp.models.published.checks import clip_checks, model_checks
from uvlp.models.published.layout import LAYOUTS, Contents, contents, lacks_files
from uvlp.models.published.sizes import SIZES
from uvlp.models.published.source import Source, source_of
from uvlp.recipes.schema import ModelSettings

PARTS = ("diffusion", "autoencoder", "clip", "llava")
HASHES, FINITE = "models.json", "finite_models.json"
WEIGHTS = (".safetensors", ".safetensors.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model on this machine.

    Attributes:
        place: its folder; for ``models.clip=openai`` the file with the weights.
        sha256: digest of the names and bytes that the part reads.
        source: hub repository, or the folder that was named.
        revision: the repository's commit; empty for a folder.
    """

    place: str
    sha256: str
    source: str
    revision: str


def find(models: ModelSettings, part: str, cache: Path, progress: Progress | None = None) -> Found:
    """The files of one part, whole and of the right architecture, without the network.

    Args:
        part: one of `PARTS`; the autoencoder is that of the diffusion model.
        cache: folder in which hashes of files are remembered.
        progress: told while weights are hashed for the first time.

    Raises:
        UvlpError: they are not here, not whole, damaged, another model's, or at another revision.
    """
    source = source_of(models, part)
    with _reading(source):
        folder, found = _checked(source)
        sha256 = _digest(folder, found, cache, progress or Progress(), partial(_mend, source))
    place = folder / found.read[0] if source.layout is LAYOUTS["openai"] else folder
    commit = "" if source.folder else source.commit()
    if commit and not source.revision:
        # Where it cannot be written, the digest in every key still tells one version from another.
        with contextlib.suppress(OSError):
            hub.remember_found(source.repository, commit)
    return Found(place=str(place), sha256=sha256, source=source.repository or str(folder), revision=commit)


@contextlib.contextmanager
def _reading(source: Source) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"a file of {source.layout.title} cannot be read: {error.strerror}"
        raise UvlpError(what, got=error.filename or source.setting) from error


def _checked(source: Source) -> tuple[Path, Contents]:
    """The folder of a part that is whole and of the right architecture; no weight is read.

    Raises:
        UvlpError: it is not.
        OSError: a file cannot be read.
    """
    folder, found = source.contents()
    if source.folder is not None:
        _recognise(source, folder, found.missing)
    if found.missing:
        raise _missing(source, folder, found)
    model_checks.check(source.layout_name, folder, found, partial(_mend, source))
    if source.layout_name == "clip":
        clip_checks.check_quick_gelu(folder, source.repository)
    return folder, found


def _recognise(source: Source, folder: Path, missing: tuple[str, ...]) -> None:
    # A repository of which no file is wanted leaves no folder.
    error = kinds.recognise(source.layout_name, folder, missing) if folder.is_dir() else None
    if error is not None:
        raise error


def check_finetuned(folder: Path) -> None:
    """Refuse a fine-tuned model that is none, before anything is fetched for it.

    Raises:
        UvlpError: what it is.
    """
    source = source_of(finetuned(ModelSettings(finetuned=str(folder))), "diffusion")
    with _reading(source):
        _checked(source)


def finetuned(models: ModelSettings) -> ModelSettings:
    """The settings under which the fine-tuned pipeline is the diffusion model."""
    return replace(models, diffusion=models.finetuned, diffusion_revision="")


def _digest(
    folder: Path, found: Contents, cache: Path, progress: Progress, mend: Callable[[Path], str]
) -> str:
    """SHA-256 over the names and hashes of the files that are read."""
    hashes, looked_at = HashCache(cache / HASHES), hashing.read_checked(cache / FINITE)
    # By content: a hash that was remembered before numbers were looked at says nothing of them.
    finite = set(looked_at) if isinstance(looked_at, list) else set()
    entries, known = [], len(finite)
    for name in progress.track(found.read, "hash model files"):
        # Resolved: a link's own times say nothing about the bytes behind it.
        path = Path(os.path.realpath(folder / name))
        sha256 = hashes.sha256(path)
        if path.parent.name == "blobs" and len(path.name) == len(sha256) and path.name != sha256:
            raise UvlpError(f"{name} has other bytes than were published", got=str(path), fix=mend(path))
        # Not the path's: the hub's files are named by their hashes.
        if name.endswith(".safetensors") and sha256 not in finite:
            safetensors_file.check_finite(path, mend(path))
            finite.add(sha256)
        entries.append([name, sha256])
    # The cache can be made again.
    with contextlib.suppress(OSError):
        hashes.save()
        if len(finite) > known:
            hashing.write_checked(cache / FINITE, sorted(finite))
    return digest(entries)


def marks(place: str, sha256: str, cache: Path) -> list[tuple[int, int, int, int]]:
    """What changes when a file of a model is touched; equal before and after, it was read as it was hashed.

    Args:
        place: of `Found`.
        sha256: of `Found`, as it is part of a key.
        cache: folder in which hashes of files are remembered.

    Raises:
        UvlpError: the model there is another one.
    """
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    for layout in LAYOUTS.values():
        found = contents(layout, folder)
        if not found.missing and _digest(folder, found, cache, Progress(), lambda _: "") == sha256:
            return [hashing.fingerprint(os.stat(folder / name)) for name in found.read]
    raise hashing.changed_during_read(path)


def _mend(source: Source, path: Path) -> str:
    """What to do about a damaged file: where nothing lies behind its link, the library fetches it again."""
    if source.folder:
        return "copy this file again"
    return f"delete {os.path.realpath(path)} and run `{source.command}`"


def _missing(source: Source, folder: Path, found: Contents) -> UvlpError:
    if source.folder:
        return lacks_files(source.layout, folder, found.missing, f"put them into {folder}")
    size = byte_size(_left(source, folder))
    if folder.is_dir():
        fix = f"`{source.command}` fetches the rest ({size}), or {source.copy}"
        return lacks_files(source.layout, folder, found.missing, fix)
    others = hub.commits(source.repository)
    there = f"; what is here is revision {others[0]}" if others else ""
    log_in = "" if source.repository in SIZES else f"; if it is private or gated, {hub.LOG_IN}"
    return UvlpError(
        f"{source.layout.title} is not on this machine{there}",
        got=f"{source.repository} at {source.revision or 'its newest revision'}",
        fix=f"`{source.command}` fetches it ({size}) into {hub.cache_folder()}, or {source.copy}{log_in}",
    )


def _left(source: Source, folder: Path) -> int:
    """Bytes that are still to be transferred; 0 where the repository's sizes are not known."""
    patterns = source.layout.patterns()
    left = sum(
        size
        for name, size in SIZES.get(source.repository, {}).items()
        if any(fnmatchcase(name, pattern) for pattern in patterns) and not (folder / name).is_file()
    )
    begun = (hub.folder_of(source.repository) / "blobs").glob(f"*{hub.UNFINISHED}")
    return max(left - sum(path.stat().st_size for path in begun), min(left, 1))


def _wanted(models: ModelSettings, parts: Iterable[str]) -> list[Source]:
    """The repositories of ``parts`` of which something is missing; the pipeline holds its autoencoder.

    Raises:
        UvlpError: a setting names no repository and no folder, or a folder with something else.
    """
    asked = set(parts)
    asked -= {"autoencoder"} if "diffusion" in asked else set()
    sources = [source_of(models, part) for part in PARTS if part in asked]
    for source in sources:
        if source.folder is not None:
            with _reading(source):
                _checked(source)
    return [source for source in sources if source.folder is None and source.contents()[1].missing]


def needed(models: ModelSettings, parts: Iterable[str]) -> dict[str, Download]:
    """What has to be transferred before ``parts`` can be read, by part, found without the network.

    Raises:
        UvlpError: a setting names no repository and no folder, or a folder that is not whole.
    """
    return {source.part: _download(source) for source in _wanted(models, parts)}


def _download(source: Source) -> Download:
    left = _left(source, source.contents()[0])
    revision = source.commit() or source.revision
    return Download(
        what=source.layout.title,
        urls=(f"{hub.page(source.repository)}/tree/{revision or 'main'}",),
        bytes=left,
        disk_bytes=left,
        note="" if revision else "the newest revision, recorded from then on",
    )


def fetch(
    models: ModelSettings, parts: Iterable[str], progress: Progress, sides: Mapping[str, int] | None = None
) -> None:
    """Transfer what is missing of ``parts`` into the hub library's folder; see `hub.transfer`.

    Args:
        sides: of the images that the autoencoder is to take, by the setting, in pixels.

    Raises:
        UvlpError: see `needed` and `hub.transfer`; or the repository lacks a file, or its autoencoder takes
            no images of these sides.
    """
    for source in _wanted(models, parts):
        revision = source.commit() or source.revision
        patterns = source.layout.patterns()
        # What it is, is known before gigabytes of another model are here.
        small = [pattern for pattern in patterns if not pattern.endswith(WEIGHTS)]
        commit = hub.transfer(source.repository, revision, small or patterns, progress)
        folder = hub.snapshot(source.repository, commit)
        model_checks.check_class(source.layout_name, folder)
        for setting, side_px in (sides or {}).items():
            model_checks.check_side(folder, setting, side_px)
        hub.transfer(source.repository, commit, patterns, progress)
        lacking = contents(source.layout, folder).missing
        if lacking:
            _recognise(source, folder, lacking)
            fix = f"name another repository with safetensors: --set {source.setting}=..., or {source.copy}"
            raise lacks_files(source.layout, folder, lacking, fix)
        if not source.revision:
            hub.remember(source.repository, commit)
