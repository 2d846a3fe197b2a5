"""Notes of a recipe below its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from uvlp.artifacts.task import changed, deciding
from uvlp.core import portable
from uvlp.recipes.schema import Recipe, SynthesisSettings

OTHER_SETTINGS = "settings that are not the "
"""How the remark on changed evaluation settings begins."""


def remarks(
    recipe: Recipe,
    sections: Mapping[str, Any],
    syntheses: Mapping[str, SynthesisSettings],
    hard_labelled: Sequence[str] = (),
) -> list[str]:
    """Return the notes, one sentence each.

    Args:
        recipe: fully resolved.
        sections: settings of its evaluation by section name.
        syntheses: synthesis settings of each row with synthesised images, by its title.
        hard_labelled: titles of rows that are published with soft labels, and scored here with hard ones.
    """
    notes = (
        recipe.protocol_notes.get(recipe.protocol, ""),
        _other_settings(recipe, sections),
        _other_syntheses(syntheses),
        _hard_labels(hard_labelled),
        recipe.models_note if syntheses else "",
        _models_seed(recipe),
        recipe.note,
        _portable(recipe) if recipe.portable else "",
    )
    return [note for note in notes if note]


def _models_seed(recipe: Recipe) -> str:
    """Report models of one seed for several distillation seeds, whose variation no interval contains."""
    if recipe.models_seed < 0 or len(recipe.seeds) < 2:
        return ""
    return f"models trained once, with seed {recipe.models_seed}, for all distillation seeds"


def _other_settings(recipe: Recipe, sections: Mapping[str, Any]) -> str:
    """List every evaluation setting that differs from its default, in the syntax of `--set`."""
    # The folder of a checkpoint is specific to a machine.
    teacher = replace(recipe.teacher, source=Path(recipe.teacher.source).name)
    settings_changed = [
        f"{section}.{name}={value if isinstance(value, str) else json.dumps(value)}"
        for section, settings in sections.items()
        for name, value in changed(teacher if section == "teacher" else settings).items()
    ]
    return (
        f"{OTHER_SETTINGS}{recipe.protocol} protocol's: {', '.join(settings_changed)}"
        if settings_changed
        else ""
    )


def _other_syntheses(syntheses: Mapping[str, SynthesisSettings]) -> str:
    """List synthesis settings in which the rows of a table differ, besides their methods."""
    by_title = {title: deciding(settings) for title, settings in syntheses.items()}
    first = next(iter(by_title.values()), {})
    names = [name for name in first if any(own[name] != first[name] for own in by_title.values())]
    titles: dict[str, list[str]] = {}
    for title, own in by_title.items():
        values = ", ".join(f"{name}={own[name]}" for name in names)
        titles.setdefault(values, []).append(title)
    rows = "; ".join(f"{', '.join(group)}: {values}" for values, group in titles.items())
    return f"rows differ in the settings of the synthesis: {rows}" if names else ""


def _hard_labels(titles: Sequence[str]) -> str:
    """Return the remark on methods that are published with soft labels."""
    if not titles:
        return ""
    are = "is" if len(titles) == 1 else "are"
    return (
        f"{', '.join(titles)} {are} published with the soft labels of a teacher (--protocol rded), "
        "and scored here with hard labels"
    )


def _portable(recipe: Recipe) -> str:
    """Describe the guarantee of `--portable`; only digits were compared on several processors."""
    mode = f"made with --portable, on the CPU with the instructions of x86-64-v2 and {portable.libc()}"
    if recipe.dataset == "digits" and not recipe.pretrained:
        return f"{mode}: the same bytes on every such processor with the same packages and C library"
    return f"{mode}; that other processors give the same bytes is promised for the digits, and untested here"
