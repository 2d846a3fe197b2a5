"""What a recipe has to say under its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvlp.artifacts.task import changed, deciding
from uvlp.core import portable
from uvlp.recipes.schema import Recipe, SynthesisSettings


def remarks(
    recipe: Recipe, sections: Mapping[str, Any], syntheses: Mapping[str, SynthesisSettings]
) -> list[str]:
    """One sentence each.

    Args:
        recipe: fully resolved.
        sections: the settings of its evaluation, by what they stand under.
        syntheses: the settings of the synthesis of each row that has one, by its title.
    """
    found = (
        recipe.protocol_notes.get(recipe.protocol, ""),
        _other_settings(recipe, sections),
        _other_syntheses(syntheses),
        recipe.models_note if syntheses else "",
        recipe.note,
        _portable(recipe) if recipe.portable else "",
    )
    return [note for note in found if note]


def _other_settings(recipe: Recipe, sections: Mapping[str, Any]) -> str:
    """Every evaluation setting that is not its default, whoever changed it; in the words of `--set`."""
    # Where a checkpoint lies is a fact about a machine.
    teacher = replace(recipe.teacher, source=Path(recipe.teacher.source).name)
    found = [
        f"{section}.{name}={value if isinstance(value, str) else json.dumps(value)}"
        for section, settings in sections.items()
        for name, value in changed(teacher if section == "teacher" else settings).items()
    ]
    return f"settings that are not the {recipe.protocol} protocol's: {', '.join(found)}" if found else ""


def _other_syntheses(syntheses: Mapping[str, SynthesisSettings]) -> str:
    """The settings of the synthesis in which rows of one table differ: they are no differences of methods."""
    every = {title: deciding(settings) for title, settings in syntheses.items()}
    first = next(iter(every.values()), {})
    names = [name for name in first if any(own[name] != first[name] for own in every.values())]
    titles: dict[str, list[str]] = {}
    for title, own in every.items():
        told = ", ".join(f"{name}={own[name]}" for name in names)
        titles.setdefault(told, []).append(title)
    rows = "; ".join(f"{', '.join(alike)}: {told}" for told, alike in titles.items())
    return f"rows differ in the settings of the synthesis: {rows}" if names else ""


def _portable(recipe: Recipe) -> str:
    """What `--portable` promises for this recipe; the digits alone were compared on several processors."""
    mode = f"made with --portable, on the CPU with the instructions of x86-64-v2 and {portable.libc()}"
    if recipe.dataset == "digits" and not recipe.pretrained:
        return f"{mode}: the same bytes on every such processor with the same packages and C library"
    return f"{mode}; that other processors give the same bytes is promised for the digits, and untested here"
