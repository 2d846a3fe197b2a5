"""The tables that a store holds, each compared with its manifest and its scores before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import read_manifest
from uvlp.core.errors import UvlpError
from uvlp.core.files.unicode_form import nfc
from uvlp.core.hashing import digest
from uvlp.tables.table import comma_separated, latex, markdown, sources

KEY_DIGITS = 8
REVISIONS = ("schema", "revision", "revisions", "packages")
"""Parts of an identity that say with which code it was made, not what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A finished table.

    Attributes:
        key: name of its folder.
        name: as it was made, empty where its manifest cannot be read.
        content: its manifest.
        damage: what is wrong with it, None if nothing is.
    """

    key: str
    name: str
    content: Mapping[str, Any]
    damage: str | None

    @property
    def caption(self) -> str:
        """One sentence."""
        return str(self.content["facts"]["caption"])

    @property
    def full_name(self) -> str:
        """Name that no other table has."""
        return f"{self.name}@{self.key[:KEY_DIGITS]}"


def measured(store: Store) -> tuple[dict[str, Stored], list[Stored]]:
    """Complete tables by the name to call them by, and those that are damaged.

    Where several have one name, each is called by its name and the beginning of its key. Of tables that
    differ in the revision of our code alone, the last revision counts.
    """
    every = [_look(store, folder.name) for folder in store_mark.artifacts(store.root, tables.KIND)]
    store.save_verified()
    complete = _latest(found for found in every if found.damage is None)
    names = [found.name for found in complete]
    by_name = {found.full_name if names.count(found.name) > 1 else found.name: found for found in complete}
    return dict(sorted(by_name.items())), [found for found in every if found.damage is not None]


def _look(store: Store, key: str) -> Stored:
    name = f"{tables.KIND}/{key}"
    damage = store.damage_of(name)
    try:
        content = read_manifest(store.root / name)
        # Earlier versions took over the form in which the name of a folder was written.
        return Stored(key=key, name=nfc(str(content["facts"]["name"])), content=content, damage=damage)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Stored(key=key, name="", content={}, damage=damage)


def _latest(found: Iterable[Stored]) -> list[Stored]:
    """One table of those with the same content; the code's revisions are numbers that only grow."""
    last: dict[str, Stored] = {}
    for one in sorted(found, key=lambda each: [each.content["schema"], each.content["revision"]]):
        same = {name: one.content[name] for name in ("facts", "inputs", "dataset") if name in one.content}
        last[digest(same)] = one
    return list(last.values())


def damaged(found: Stored) -> UvlpError:
    """The error for a table that is not as made."""
    called = f" ({found.name})" if found.name else ""
    return UvlpError(
        f"damaged table {tables.KIND}/{found.key}{called}: {found.damage} is missing or not as made",
        fix="run the command that made it again with --force",
    )


def find(name: str, store: Store) -> Stored:
    """The table of a name, or of a name with an @ and digits of its key behind it.

    Raises:
        UvlpError: no such table, several of this name, or it is damaged.
    """
    complete, broken = measured(store)
    name = nfc(name)
    if name in complete:
        return complete[name]
    fitting = [one for one in complete.values() if name in (one.name, one.full_name)]
    fitting = fitting or [one for one in complete.values() if _is_beginning(name, one)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise _ambiguous(name, fitting)
    for one in broken:
        if one.name in (name, "") or _is_beginning(name, one):
            raise damaged(one)
    raise UvlpError(
        "no such table in the store",
        got=name,
        allowed=", ".join(complete) or "none yet",
        fix=f"make one with `uvlp reproduce` or `uvlp evaluate`; store: {store.root}",
    )


def _is_beginning(name: str, found: Stored) -> bool:
    """Whether ``name`` is the table's name with some digits of its key behind an @."""
    own, at, digits = name.rpartition("@")
    return bool(at and digits) and own == found.name and found.key.startswith(digits)


def _ambiguous(name: str, found: Sequence[Stored]) -> UvlpError:
    facts_of = [_facts(one) for one in found]
    differing = [key for key in facts_of[0] if len({facts[key] for facts in facts_of}) > 1]
    candidates = [
        f"{one.full_name} ({'; '.join(filter(None, (facts[key] for key in differing)))})"
        for one, facts in zip(found, facts_of, strict=True)
    ]
    return UvlpError(
        f"{len(found)} tables of this name are in the store",
        got=name,
        allowed=", ".join(candidates),
        fix="give the full name of one, with the digits after the @",
    )


def _facts(found: Stored) -> dict[str, str]:
    """What may distinguish a table from another, as text."""
    facts, cells = found.content["facts"], found.content["facts"]["cells"]
    trainings = [f"seed {name.partition(' seed ')[2]}" for cell in cells for name in cell["scores"]]
    return {
        "caption": str(facts["caption"]),
        "methods": ", ".join(dict.fromkeys(cell["method"] for cell in cells)),
        "networks": ", ".join(dict.fromkeys(cell["network"] for cell in cells)),
        "trainings": f"trainings {', '.join(dict.fromkeys(trainings))}"[:80],
        "notes": "; ".join(note for note in facts["notes"] if note.startswith("settings"))[:200],
        "dataset": f"dataset {str(found.content['dataset'])[:KEY_DIGITS]}",
        "code": " ".join(f"{name} {found.content.get(name, '')}" for name in REVISIONS).strip(),
        "made": f"made {found.content['made'].get('at', '')}",
    }


RENDER = {"markdown": markdown, "latex": latex, "csv": comma_separated}


def render(name: str, form: str, against: str | None, store: Store) -> str:
    """A table as its file has it, from the numbers that were compared with the scores.

    Args:
        name: as `find` takes it.
        form: a key of `RENDER`.
        against: the method that the others are compared with, in the place of random images.

    Raises:
        UvlpError: see `find`; or the table has no method ``against``.
    """
    found = find(name, store)
    folder = store.root / tables.KIND / found.key
    table = tables.read(folder)
    if against is not None:
        from uvlp.tables import comparisons

        return RENDER[form](comparisons.against(table, store.root, against))
    if not table.cells:  # of an earlier schema
        return (folder / tables.FORMATS[form]).read_text(encoding="utf-8")
    return RENDER[form](table) + (sources(table) if form == "markdown" else "")
