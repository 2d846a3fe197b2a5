"""All checks of a store, or of one table and what is behind it, in their order."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from uvlp.artifacts import tables
from uvlp.artifacts.checks import store_mark
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import digest
from uvlp.pipeline.verification.accuracies import check_accuracies, check_numbers
from uvlp.pipeline.verification.again import Rerun, check_again
from uvlp.pipeline.verification.claims import check_claims
from uvlp.pipeline.verification.classes import check_classes, check_images
from uvlp.pipeline.verification.contents import Contents, TableFacts, read_contents
from uvlp.pipeline.verification.datasets import kept_datasets, opened_datasets
from uvlp.pipeline.verification.files import check_files
from uvlp.pipeline.verification.inputs import check_inputs
from uvlp.pipeline.verification.manifests import check_manifests, check_provenance
from uvlp.pipeline.verification.rebuilt import check_tables
from uvlp.pipeline.verification.report import Check
from uvlp.pipeline.verification.settings import check_settings, check_versions
from uvlp.pipeline.verification.trainings import check_copies, check_names, check_repeats, check_seeds

AT_LEAST = 4
"""Digits of a key that name a table."""
OF_TRAININGS = (check_names, check_seeds, check_repeats, check_copies, check_settings, check_versions)


def verify(root: Path, table: str | None, data: str | None, rerun: Rerun | None) -> list[Check]:
    """Check everything that is finished below ``root``; nothing there is changed.

    Args:
        root: a store, or a copy of a part of one.
        table: name or key of the one table to look at, with what is behind it; None: everything.
        data: where the named datasets lie, to compare with them; None: with what the store recorded.
        rerun: trainings to train again; None: none.

    Raises:
        UvlpError: nothing is finished there, no such table, or a store of a later version.
    """
    store_mark.check_schema(root)
    contents = read_contents(root)
    if not contents.artifacts and not contents.strays:
        fix = "name a store, or an unpacked part of one, with --store"
        raise UvlpError("nothing is finished in this store", got=str(root), fix=fix)
    if table is not None:
        contents = contents.behind([_find(table, contents)])
    first = [check_manifests(contents), check_files(contents), check_provenance(contents)]
    classes = Check(
        name="classes",
        one="{} list of classes or labels is in the order of the dataset's classes",
        many="{} lists of classes and labels are in the order of the dataset's classes",
    )
    datasets = kept_datasets(contents, classes)
    with _cache(root) as cache:
        if data is not None:
            datasets |= opened_datasets(contents, data, cache, classes)
        again = [] if rerun is None else [check_again(contents, datasets, rerun, data or "", cache)]
    return [
        *first,
        check_inputs(contents),
        *[check(contents) for check in OF_TRAININGS],
        check_classes(contents, datasets, classes),
        check_images(contents, datasets),
        check_accuracies(contents, datasets),
        check_numbers(contents),
        check_tables(contents),
        check_claims(contents, datasets),
        *again,
    ]


@contextlib.contextmanager
def _cache(root: Path) -> Iterator[Path]:
    """Where datasets remember their hashes: a store's own cache; beside what is none, nothing is written."""
    if store_mark.is_marked(root) and os.access(root, os.W_OK):
        yield root / "datasets"
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _latest(names: Sequence[str], contents: Contents) -> list[str]:
    """Leave out tables that a later revision of the code made again from the same scores."""
    made: dict[str, tuple[str, tuple[int, int]]] = {}
    for name in names:
        manifest = contents.artifacts[name].manifest
        same = name if manifest is None else digest([manifest.facts, manifest.inputs, manifest.dataset])
        made[name] = same, (0, 0) if manifest is None else (manifest.schema, manifest.revision)
    return [
        name
        for name in names
        if made[name][1] == max(last for same, last in made.values() if same == made[name][0])
    ]


def _find(wanted: str, contents: Contents) -> str:
    """The artifact of a table by its name, its key or the beginning of it, or both with an @ between.

    Raises:
        UvlpError: there is none, with the nearest name; or several.
    """
    wanted = nfc(wanted)
    own, _, digits = wanted.rpartition("@")
    found: dict[str, str] = {}
    for one in contents.artifacts.values():
        if one.kind == tables.KIND:
            found[one.name] = nfc(one.facts.name) if isinstance(one.facts, TableFacts) else ""
    tests: tuple[Callable[[str, str], bool], ...] = (
        lambda key, name: name == wanted,
        lambda key, name: len(wanted) >= AT_LEAST and key.startswith(wanted),
        lambda key, name: bool(digits) and name == own and key.startswith(digits),
    )
    for fits in tests:
        fitting = _latest(
            [each for each, name in found.items() if fits(each.partition("/")[2], name)], contents
        )
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            keys = ", ".join(each.partition("/")[2] for each in fitting)
            raise UvlpError(
                f"{len(fitting)} tables fit", got=wanted, allowed=keys, fix="give one of these keys"
            )
    names = sorted({name for name in found.values() if name})
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    raise UvlpError(
        "no such table in the store",
        got=wanted,
        allowed=", ".join(names) or "none yet",
        fix=f"did you mean {near[0]!r}?" if near else f"store: {contents.root}",
    )


def failure(checks: Sequence[Check]) -> UvlpError | None:
    """The error of a call in which something does not hold: the first thing, and how many there are."""
    failed = [check for check in checks if check.findings]
    if not failed:
        return None
    first, count = failed[0].findings[0], sum(len(check.findings) for check in failed)
    return UvlpError(
        f"verify: {count} findings in {', '.join(check.name for check in failed)}; the first: {first.file}: "
        f"{first.what}",
        got=first.got or None,
        allowed=first.allowed or None,
    )
