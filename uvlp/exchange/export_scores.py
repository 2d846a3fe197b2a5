"""Scores of a distilled set in the store, grouped by what they were trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts import scores, teachers
from uvlp.artifacts.checks import store_mark
from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.scores import Score
from uvlp.artifacts.store import Store
from uvlp.artifacts.tables import Summary
from uvlp.artifacts.task import read_manifest
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import digest
from uvlp.declarations.protocol import declared_protocol
from uvlp.exchange.export_lines import Line, evaluate_line

LEVEL = 0.05
"""1 minus the confidence of every interval."""
MACHINE_ONLY = ("key", "title", "files", "made")
"""Entries of a manifest that may differ between trainings with the same settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Trainings of one network with the same settings.

    Attributes:
        protocol: name of the protocol.
        network: name of the network.
        names: of the artifacts, ``scores/0123456789abcdef``, by repeat.
        scores: of the trainings.
        best, last: summaries of their accuracies.
        expected: per pass, interval of the mean of as many trainings anew, percent; None for one training.
        line: what repeats them.
    """

    protocol: str
    network: str
    names: tuple[str, ...]
    scores: tuple[Score, ...]
    best: Summary
    last: Summary
    expected: tuple[tuple[float, float] | None, tuple[float, float] | None]
    line: Line


def scores_of(key: str, dataset: DatasetManifest, store: Store) -> list[Scored]:
    """Return the scores of the distilled set ``key`` that this version would compute again.

    Raises:
        UvlpError: one is damaged.
    """
    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for folder in store_mark.artifacts(store.root, scores.KIND):
        name, content = f"{scores.KIND}/{folder.name}", _manifest_of(store, folder.name, scores.KIND)
        if content is None or content.get("inputs", {}).get("distilled") != key or not _is_current(content):
            continue
        damage = store.damage_of(name)
        if damage is not None:
            fix = "re-run the command that made it with --force"
            raise UvlpError(f"damaged score {name}: {damage} is missing or changed", fix=fix)
        groups.setdefault(_same_settings(content), []).append((name, content))
    store.save_verified()
    found = [_scored(sorted(each, key=_repeat), dataset, store) for each in groups.values()]
    return sorted(found, key=lambda each: (each.protocol, each.network, each.line.words))


def _manifest_of(store: Store, key: str, kind: str) -> dict[str, Any] | None:
    try:
        return read_manifest(store.root / kind / key)
    except (OSError, ValueError, RecursionError):
        return None


def _is_current(content: Mapping[str, Any]) -> bool:
    """Return whether this version's code computes such a score."""
    current = content["schema"] == scores.SCHEMA
    return current and content["revision"] == declared_protocol(content["plugin"]).revision


def _same_settings(content: Mapping[str, Any]) -> str:
    facts = {name: value for name, value in content["facts"].items() if name != "repeat"}
    rest = {name: value for name, value in content.items() if name not in MACHINE_ONLY}
    return digest(rest | {"facts": facts})


def _repeat(named: tuple[str, Mapping[str, Any]]) -> int:
    repeat: int = named[1]["facts"]["repeat"]
    return repeat


def _scored(group: Sequence[tuple[str, Mapping[str, Any]]], dataset: DatasetManifest, store: Store) -> Scored:
    from uvlp.tables.prediction import prediction_interval_pct
    from uvlp.tables.uncertainty import summarise

    names = tuple(name for name, _ in group)
    trained = tuple(scores.read(store.root / name) for name in names)
    content = group[0][1]
    seed, images = content["facts"]["seed"], trained[0].validation_images
    teacher_key = content["inputs"].get("teacher", "")
    teacher = _manifest_of(store, teacher_key, teachers.KIND) if teacher_key else None
    pcts = [score.best_pct for score in trained], [score.last_pct for score in trained]
    best, last = (summarise(each, [seed] * len(each), images) for each in pcts)
    expected = [prediction_interval_pct(each, LEVEL, len(each)) for each in pcts]
    return Scored(
        protocol=content["plugin"],
        network=content["facts"]["network"],
        names=names,
        scores=trained,
        best=best,
        last=last,
        expected=(expected[0], expected[1]),
        line=evaluate_line(content, teacher, dataset, max(map(_repeat, group))),
    )
