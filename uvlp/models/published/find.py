"""Find published models on this machine, check and hash them, and fetch missing ones.

A model is given as a hub repository with a pinned commit, or as a folder with the same layout. `find` needs
no network and does not read weights that it has hashed before; a repository and a copy with the same bytes
have the same hash, which is part of every artifact key.
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
from uvlp.models.published import hub, hub_errors, kinds
from uvlp.models.published.checks import clip_checks, model_checks
from uvlp.models.published.layout import LAYOUTS, Contents, contents, lacks_files
from uvlp.models.published.sizes import SIZES
from uvlp.models.published.source import Source, source_of
from uvlp.recipes.schema import ModelSettings

PARTS = ("diffusion", "autoencoder", "clip", "llava", "dit", "stylegan_xl")
HASHES, FINITE = "models.json", "finite_models.json"
WEIGHTS = (".safetensors", ".safetensors.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model on this machine.

    Attributes:
        path: its folder; for ``models.clip=openai`` the file with the weights.
        sha256: digest of the names and contents of the files that the part reads.
        source: hub repository, or the given folder.
        revision: the repository's commit; empty for a folder.
    """

    path: str
    sha256: str
    source: str
    revision: str


def find(models: ModelSettings, part: str, cache: Path, progress: Progress | None = None) -> LocalModel:
    """Return one part of the models after checking its files and architecture, without the network.

    Args:
        part: one of `PARTS`; the autoencoder is that of the diffusion model.
        cache: folder for cached file hashes.
        progress: reports when weights are hashed for the first time.

    Raises:
        UvlpError: files are missing, incomplete, damaged, of another model, or at another revision.
    """
    source = source_of(models, part)
    with _reading(source):
        folder, present = _checked(source)
        sha256 = _digest(folder, present, cache, progress or Progress(), partial(_fix_for, source))
    path = folder / present.read[0] if source.layout is LAYOUTS["openai"] else folder
    commit = "" if source.folder else source.commit()
    if commit and not source.revision:
        # If it cannot be written, the digest in every key still distinguishes the versions.
        with contextlib.suppress(OSError):
            hub.remember_found(source.repository, commit)
    name = source.repository or str(folder)
    return LocalModel(path=str(path), sha256=sha256, source=name, revision=commit)


@contextlib.contextmanager
def _reading(source: Source) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"a file of {source.layout.title} cannot be read: {error.strerror}"
        raise UvlpError(what, got=error.filename or source.setting) from error


def _checked(source: Source) -> tuple[Path, Contents]:
    """Check completeness and architecture of a part, without reading weights; return its folder and files.

    Raises:
        UvlpError: the part is incomplete, or of another architecture.
        OSError: a file cannot be read.
    """
    folder, present = source.contents()
    if source.folder is not None:
        _recognise(source, folder, present.missing)
    if present.missing:
        raise _missing(source, folder, present)
    model_checks.check(source.layout_name, folder, present, partial(_fix_for, source))
    if source.layout_name == "clip":
        clip_checks.check_quick_gelu(folder, source.repository)
    return folder, present


def _recognise(source: Source, folder: Path, missing: tuple[str, ...]) -> None:
    # A repository without any matching file has no folder.
    error = kinds.recognise(source.layout_name, folder, missing) if folder.is_dir() else None
    if error is not None:
        raise error


def check_finetuned(folder: Path) -> None:
    """Refuse a folder that is not a fine-tuned model, before anything is fetched for it.

    Raises:
        UvlpError: it is something else, which the error names.
    """
    source = source_of(finetuned(ModelSettings(finetuned=str(folder))), "diffusion")
    with _reading(source):
        _checked(source)


def finetuned(models: ModelSettings) -> ModelSettings:
    """Return the settings with the fine-tuned pipeline as the diffusion model."""
    return replace(models, diffusion=models.finetuned, diffusion_revision="")


def _digest(
    folder: Path, present: Contents, cache: Path, progress: Progress, fix_for: Callable[[Path], str]
) -> str:
    """Return the SHA-256 of the names and hashes of the files that are read."""
    hashes, checked = HashCache(cache / HASHES), hashing.read_checked(cache / FINITE)
    # A separate list by content: older versions cached hashes without checking for finite values.
    finite = set(checked) if isinstance(checked, list) else set()
    entries, known = [], len(finite)
    for name in progress.track(present.read, "hash model files"):
        # Resolved: the times of a link do not change with its target.
        path = Path(os.path.realpath(folder / name))
        sha256 = hashes.sha256(path)
        if path.parent.name == "blobs" and len(path.name) == len(sha256) and path.name != sha256:
            raise UvlpError(f"{name} differs from the published file", got=str(path), fix=fix_for(path))
        # By `name`, because the hub's files are named by their hashes.
        if name.endswith(".safetensors") and sha256 not in finite:
            safetensors_file.check_finite(path, fix_for(path))
            finite.add(sha256)
        entries.append([name, sha256])
    # The cache can be rebuilt.
    with contextlib.suppress(OSError):
        hashes.save()
        if len(finite) > known:
            hashing.write_checked(cache / FINITE, sorted(finite))
    return digest(entries)


def marks(origin: str, sha256: str, cache: Path) -> list[tuple[int, int, int, int]]:
    """Return the stat fingerprints of a model's files; if they are equal before and after, nothing changed.

    Args:
        origin: path of the `LocalModel`.
        sha256: its digest, which is part of a key.
        cache: folder for cached file hashes.

    Raises:
        UvlpError: the model has another digest.
    """
    path = Path(origin)
    folder = path if path.is_dir() else path.parent
    for layout in LAYOUTS.values():
        present = contents(layout, folder)
        if not present.missing and _digest(folder, present, cache, Progress(), lambda _: "") == sha256:
            return [hashing.fingerprint(os.stat(folder / name)) for name in present.read]
    raise hashing.changed_during_read(path)


def _fix_for(source: Source, path: Path) -> str:
    """Return the fix for a damaged file; the library fetches a file whose link is broken."""
    if source.folder:
        return "copy this file again"
    return f"delete {os.path.realpath(path)} and run `{source.command}`"


def _missing(source: Source, folder: Path, present: Contents) -> UvlpError:
    if source.folder:
        return lacks_files(source.layout, folder, present.missing, f"put them into {folder}")
    size = byte_size(_bytes_left(source, folder))
    if folder.is_dir():
        fix = f"`{source.command}` fetches the rest ({size}), or {source.copy}"
        return lacks_files(source.layout, folder, present.missing, fix)
    others = hub.commits(source.repository)
    there = f"; only revision {others[0]} is" if others else ""
    log_in = "" if source.repository in SIZES else f"; if it is private or gated, {hub_errors.LOG_IN}"
    return UvlpError(
        f"{source.layout.title} is not on this machine{there}",
        got=f"{source.repository} at {source.revision or 'its newest revision'}",
        fix=f"`{source.command}` fetches it ({size}) into {hub.cache_folder()}, or {source.copy}{log_in}",
    )


def _bytes_left(source: Source, folder: Path) -> int:
    """Return the number of bytes still to be transferred; 0 if the repository's sizes are unknown."""
    patterns = source.layout.patterns()
    left = sum(
        size
        for name, size in SIZES.get(source.repository, {}).items()
        if any(fnmatchcase(name, pattern) for pattern in patterns) and not (folder / name).is_file()
    )
    started = (hub.folder_of(source.repository) / "blobs").glob(f"*{hub.UNFINISHED}")
    return max(left - sum(path.stat().st_size for path in started), min(left, 1))


def _incomplete(models: ModelSettings, parts: Iterable[str]) -> list[Source]:
    """Return the repositories of ``parts`` with missing files; the pipeline contains its autoencoder.

    Raises:
        UvlpError: a setting is neither a repository nor a folder, or a folder contains something else.
    """
    requested = set(parts)
    requested -= {"autoencoder"} if "diffusion" in requested else set()
    sources = [source_of(models, part) for part in PARTS if part in requested]
    for source in sources:
        if source.folder is not None:
            with _reading(source):
                _checked(source)
    return [source for source in sources if source.folder is None and source.contents()[1].missing]


def needed(models: ModelSettings, parts: Iterable[str]) -> dict[str, Download]:
    """Return the downloads that ``parts`` need, by part, without the network.

    Raises:
        UvlpError: a setting is neither a repository nor a folder, or a folder is incomplete.
    """
    return {source.part: _download(source) for source in _incomplete(models, parts)}


def _download(source: Source) -> Download:
    left = _bytes_left(source, source.contents()[0])
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
    """Download the missing files of ``parts`` to the hub library's folder; see `hub.transfer`.

    Args:
        sides: sides of the images that the autoencoder has to take, in pixels, by setting.

    Raises:
        UvlpError: see `needed` and `hub.transfer`; or the repository lacks a file, or its autoencoder cannot
            take images of these sides.
    """
    for source in _incomplete(models, parts):
        revision = source.commit() or source.revision
        patterns = source.layout.patterns()
        # Small files first: another model is detected before gigabytes are downloaded.
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
            fix = f"use another repository with safetensors: --set {source.setting}=..., or {source.copy}"
            raise lacks_files(source.layout, folder, lacking, fix)
        if not source.revision:
            hub.remember(source.repository, commit)
