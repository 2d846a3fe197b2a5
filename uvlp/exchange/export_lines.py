"""The `uvlp evaluate` line that trains as a stored score was trained, from the manifests alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uvlp.artifacts.dataset import HUB, DatasetManifest
from uvlp.artifacts.task import deciding
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.names import default_recipe
from uvlp.recipes import profiles
from uvlp.recipes.schema import Recipe

OWN_DATA = "PATH_OF_THE_DATASET"
CHECKPOINT = "CHECKPOINT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Options of `uvlp evaluate` after the images.

    Attributes:
        words: the options, to be quoted for a shell.
        profile: the profile among them.
        notes: what the reader has to know or to provide, one sentence each.
    """

    words: tuple[str, ...]
    profile: str
    notes: tuple[str, ...]


def evaluate_line(
    score: Mapping[str, Any], teacher: Mapping[str, Any] | None, dataset: DatasetManifest, repeats: int
) -> Line:
    """Return the options that give the settings of a score.

    The profile is the one of which the fewest settings differ, the dataset's own if several agree; what
    still differs is set one by one.

    Args:
        score: manifest of the score.
        teacher: manifest of its teacher; None if it has none, or the store does not hold it.
        dataset: of its validation images.
        repeats: number of trainings.

    Raises:
        UvlpError: the protocol or the dataset is not installed here.
    """
    facts = score["facts"]
    own = default_recipe(dataset.name, facts["ipc"])
    ordered = dict.fromkeys([own.profile, *profiles.PROFILES])
    recipes = {name: profiles.apply(own, name) for name in ordered}
    changes = {name: _changes(recipe, score, teacher) for name, recipe in recipes.items()}
    profile = min(changes, key=lambda name: len(changes[name]))
    words = ["--dataset", dataset_option(dataset)]
    if dataset.variant and dataset.variant not in (declared_dataset(dataset.name).variants or ())[:1]:
        words += ["--variant", dataset.variant]
    # The recipe of a dataset depends on the images per class, which only this option says beforehand.
    words += ["--ipc", str(facts["ipc"])]
    words += ["--network", facts["network"], "--protocol", score["plugin"], "--profile", profile]
    words += ["--seed", str(facts["seed"]), "--repeats", str(repeats), "--no-random"]
    words += ["--portable"] if "portable" in facts else []
    for name, value in changes[profile].items():
        words += ["--set", f"{name}={value}"]
    return Line(words=tuple(words), profile=profile, notes=tuple(_notes(score, teacher, dataset)))


def dataset_option(dataset: DatasetManifest) -> str:
    """Return the value of `--dataset`; a placeholder stands for the path of a folder."""
    if dataset.name == HUB:
        return f"{HUB}:{dataset.argument}"
    return dataset.name + (f":{OWN_DATA}" if declared_dataset(dataset.name).argument else "")


def _changes(recipe: Recipe, score: Mapping[str, Any], teacher: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the settings of a score, and of its teacher, that differ from those of a recipe."""
    protocol = declared_protocol(score["plugin"])
    changes = _differing(protocol.section, protocol.settings_in(recipe), score["settings"])
    if teacher is None:
        return changes
    student, network = score["facts"]["network"], teacher["facts"]["network"]
    settings = {**teacher["settings"], "network": recipe.teacher.network}
    if network != protocol.canonical(recipe.teacher.network or student):
        settings["network"] = network
    if settings["source"] == "file":
        settings["source"] = CHECKPOINT
    return changes | _differing("teacher", recipe.teacher, settings)


def _differing(section: str, usual: Any, stored: Mapping[str, Any]) -> dict[str, str]:
    """Return the stored settings that differ from the usual ones, as `--set` writes them."""
    return {
        f"{section}.{name}": _text(stored[name])
        for name, value in deciding(usual).items()
        if name in stored and stored[name] != value
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def _notes(
    score: Mapping[str, Any], teacher: Mapping[str, Any] | None, dataset: DatasetManifest
) -> list[str]:
    notes = []
    if OWN_DATA in dataset_option(dataset):
        notes.append(
            f"`{OWN_DATA}` is the folder of the dataset, whose content has the SHA-256 {dataset.content_hash}"
        )
    if "teacher" in score["inputs"] and teacher is None:
        notes.append("the teacher is not in the store of these numbers: the line trains the usual one")
    if teacher is not None and "file" in teacher["facts"]:
        notes.append(f"`{CHECKPOINT}` is the teacher, a file with the SHA-256 {teacher['facts']['file']}")
    return notes
