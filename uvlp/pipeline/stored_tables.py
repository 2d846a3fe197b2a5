"""Tables in a store, verified against their manifests and scores before they are shown."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import read_manifest
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import digest
from uvlp.tables import published
from uvlp.tables.table import comma_separated, latex, markdown, printed, screen, sources

KEY_DIGITS = 8
LEAST_DIGITS = 4
"""Of a key, so that no name is taken for one."""
REVISIONS = ("schema", "revision", "revisions", "packages")
"""Parts of an identity that describe the code that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A finished table.

    Attributes:
        key: name of its folder.
        name: name of the table, empty if its manifest cannot be read.
        content: its manifest.
        damage: description of its damage, None if intact.
    """

    key: str
    name: str
    content: Mapping[str, Any]
    damage: str | None

    @property
    def caption(self) -> str:
        """Caption of the table in one sentence."""
        return str(self.content["facts"]["caption"])

    @property
    def methods(self) -> list[str]:
        """Titles of its rows."""
        return list(dict.fromkeys(str(cell["title"]) for cell in self.content["facts"]["cells"]))

    @property
    def full_name(self) -> str:
        """Unique name, with digits of the key."""
        return f"{self.name}@{self.key[:KEY_DIGITS]}"


def measured(
    store: Store, wanted: Callable[[str, str], bool] = lambda name, key: True
) -> tuple[dict[str, Stored], list[Stored]]:
    """Return complete tables by name, and damaged ones.

    Tables with the same name are listed with their full name. Of tables that differ only in the revision of
    UVLP's code, the last revision is used.

    Args:
        store: the store.
        wanted: whether a table with this name and key is read; the scores of others are not verified.
    """
    keys = [folder.name for folder in store_mark.artifacts(store.root, tables.KIND)]
    read = [(key, *_manifest(store, key)) for key in keys]
    every = [_verified(store, *each) for each in read if wanted(each[1], each[0])]
    store.save_verified()
    complete = _latest(table for table in every if table.damage is None)
    names = [table.name for table in complete]
    by_name = {table.full_name if names.count(table.name) > 1 else table.name: table for table in complete}
    return dict(sorted(by_name.items())), [table for table in every if table.damage is not None]


def _manifest(store: Store, key: str) -> tuple[str, Mapping[str, Any]]:
    """Return the name of a table and its manifest; empty if that cannot be read."""
    try:
        content = read_manifest(store.root / tables.KIND / key)
        # Earlier versions kept the Unicode form of a folder's name.
        return nfc(str(content["facts"]["name"])), content
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", {}


def _verified(store: Store, key: str, name: str, content: Mapping[str, Any]) -> Stored:
    return Stored(key=key, name=name, content=content, damage=store.damage_of(f"{tables.KIND}/{key}"))


def _meant_by(name: str) -> Callable[[str, str], bool]:
    """Return which tables `_match` may choose for a name; one whose manifest cannot be read may be any."""
    digits = name.removeprefix(f"{tables.KIND}/")
    names = ("", name, name.rpartition("@")[0])
    return lambda own, key: own in names or key.startswith(digits)


def _latest(candidates: Iterable[Stored]) -> list[Stored]:
    """Return one table of those with the same content: that of the latest revision."""
    last: dict[str, Stored] = {}
    for table in sorted(candidates, key=lambda each: [each.content["schema"], each.content["revision"]]):
        same = {name: table.content[name] for name in ("facts", "inputs", "dataset") if name in table.content}
        last[digest(same)] = table
    return list(last.values())


def damaged(table: Stored) -> UvlpError:
    """Return the error for a damaged table."""
    name = f" ({table.name})" if table.name else ""
    return UvlpError(
        f"damaged table {tables.KIND}/{table.key}{name}: {table.damage} is missing or changed",
        fix="re-run the command that created it with --force",
    )


def find(name: str, store: Store) -> Stored:
    """Return the table of a name, or of a name followed by @ and digits of its key.

    Raises:
        UvlpError: no such table, several of this name, or it is damaged.
    """
    found = _match(nfc(name), *measured(store, _meant_by(nfc(name))))
    if found is not None:
        return found
    complete, _ = measured(store)
    near = difflib.get_close_matches(nfc(name), [*complete, *published.TABLES], n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise UvlpError(
        "no such table",
        got=name,
        allowed=f"{', '.join(published.TABLES)} (published); {', '.join(complete) or 'none'} (in the store)",
        fix=f"{meant}make one with `uvlp reproduce` or `uvlp evaluate`; store: {store.root}",
    )


def find_run(name: str, store: Store) -> Stored:
    """Return the table of a finished run, named as in `find`.

    Raises:
        UvlpError: no such run, several of this name, it is damaged, or no run is finished.
    """
    found = _match(nfc(name), *measured(store, _meant_by(nfc(name))))
    if found is not None:
        return found
    complete, broken = measured(store)
    if not complete:
        raise _nothing_finished(store, broken)
    near = difflib.get_close_matches(nfc(name), complete, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]!r}?" if near else f"finish it with `uvlp reproduce`; store: {store.root}"
    raise UvlpError("no such finished run", got=name, allowed=", ".join(complete), fix=meant)


def newest(store: Store) -> Stored:
    """Return the table that was made last.

    Raises:
        UvlpError: no run is finished.
    """
    complete, broken = measured(store)
    if not complete:
        raise _nothing_finished(store, broken)
    return max(complete.values(), key=lambda table: str(table.content["made"].get("at", "")))


def _nothing_finished(store: Store, broken: Sequence[Stored]) -> UvlpError:
    if broken:
        return damaged(broken[0])
    count = sum(1 for _ in store_mark.artifacts(store.root))
    if not count:
        fix = "make a run with `uvlp reproduce`, or name another store with --store DIR"
        return UvlpError("no run in the store", got=str(store.root), fix=fix)
    what = f"no finished run in the store, only {count} artifacts of unfinished ones"
    return UvlpError(what, got=str(store.root), fix="re-run the command that was interrupted to resume it")


def _match(name: str, complete: Mapping[str, Stored], broken: Sequence[Stored]) -> Stored | None:
    """Return the only table that ``name`` means; None if there is none.

    Raises:
        UvlpError: several of this name, or it is damaged.
    """
    if name in complete:
        return complete[name]
    matches = [table for table in complete.values() if name in (table.name, table.full_name)]
    matches = matches or [table for table in complete.values() if _is_abbreviation(name, table)]
    matches = matches or [table for table in complete.values() if _is_key(name, table)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise _ambiguous(name, matches)
    for table in broken:
        if table.name in (name, "") or _is_abbreviation(name, table):
            raise damaged(table)
    return None


def _is_abbreviation(name: str, table: Stored) -> bool:
    """Return whether ``name`` is the table's name followed by @ and some digits of its key."""
    own, at, digits = name.rpartition("@")
    return bool(at and digits) and own == table.name and table.key.startswith(digits)


def _is_key(name: str, table: Stored) -> bool:
    """Return whether ``name`` is the table's key or its beginning, with or without ``tables/``."""
    digits = name.removeprefix(f"{tables.KIND}/")
    return len(digits) >= LEAST_DIGITS and table.key.startswith(digits)


def _ambiguous(name: str, matches: Sequence[Stored]) -> UvlpError:
    facts_of = [_facts(table) for table in matches]
    differing = [key for key in facts_of[0] if len({facts[key] for facts in facts_of}) > 1]
    candidates = [
        f"{table.full_name} ({'; '.join(filter(None, (facts[key] for key in differing)))})"
        for table, facts in zip(matches, facts_of, strict=True)
    ]
    return UvlpError(
        f"{len(matches)} tables of this name are in the store",
        got=name,
        allowed=", ".join(candidates),
        fix="give the full name of one, with the digits after the @",
    )


def _facts(table: Stored) -> dict[str, str]:
    """Return properties that may distinguish a table from others, as text."""
    facts, cells = table.content["facts"], table.content["facts"]["cells"]
    trainings = [f"seed {name.partition(' seed ')[2]}" for cell in cells for name in cell["scores"]]
    return {
        "caption": str(facts["caption"]),
        "methods": ", ".join(dict.fromkeys(cell["method"] for cell in cells)),
        "networks": ", ".join(dict.fromkeys(cell["network"] for cell in cells)),
        "trainings": f"trainings {', '.join(dict.fromkeys(trainings))}"[:80],
        "notes": "; ".join(note for note in facts["notes"] if note.startswith("settings"))[:200],
        "dataset": f"dataset {str(table.content['dataset'])[:KEY_DIGITS]}",
        "code": " ".join(f"{name} {table.content.get(name, '')}" for name in REVISIONS).strip(),
        "made": f"made {table.content['made'].get('at', '')}",
    }


def render(name: str, form: str, part: str, against: str | None, store: Store, *, full: bool) -> str:
    """Format a table, from numbers that were verified against the scores.

    Args:
        name: see `find`.
        form: a key of `tables.FORMATS`.
        part: of the LaTeX, see `tables.table.PARTS`; of the CSV: main or differences.
        against: reference method of the comparisons instead of random images.
        full: print everything that the Markdown file contains.

    Raises:
        UvlpError: see `find`; or the table has no method ``against``.
    """
    folder = store.root / tables.KIND / find(name, store).key
    table = printed(tables.read(folder))
    if against is not None:
        from uvlp.tables import comparisons

        table = comparisons.against(table, store.root, against)
    if not table.cells:  # an earlier schema
        return (folder / tables.FORMATS[form]).read_text(encoding="utf-8")
    if form == "latex":
        return latex(table, part)
    if form == "csv":
        return comma_separated(table, part)
    if full:
        return markdown(table) + ("" if against else sources(table))
    return screen(table) + f"\n{HINT}: `uvlp table {nfc(name)} --full`\n"


HINT = "Intervals, differences and all notes"
