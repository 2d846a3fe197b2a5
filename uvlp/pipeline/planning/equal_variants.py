"""Variants that equal simpler ones in a run, judged by the settings that have an effect in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

from uvlp.artifacts.task import deciding
from uvlp.core.errors import wrong_return
from uvlp.pipeline.planning.contenders import Method, resolve_method
from uvlp.pipeline.planning.variants import changes_of, contradiction, joined
from uvlp.recipes.schema import Recipe
from uvlp.recipes.variant import assignments


def distinct(recipe: Recipe) -> tuple[tuple[Method, ...], tuple[str, ...]]:
    """Return the methods of a recipe that differ, and a sentence for every one that is another one.

    A variant without an effect in the run is replaced by the method without it, and equal methods run once.

    Raises:
        UvlpError: an unknown method or variant, a setting out of range, or a combination of variants that
            contradicts itself.
    """
    requested: dict[str, Method] = {}
    for spec in recipe.methods:
        method = resolve_method(spec, recipe)
        _check_contradictions(spec, method, recipe)
        requested.setdefault(method.spec, method)
    simplest = {spec: _simplest(method, recipe) for spec, method in requested.items()}
    notes = []
    for spec, method in requested.items():
        same = simplest[spec]
        if same.spec != spec:
            dropped = [part for part in method.parts if part not in same.parts]
            values = ", ".join(assignments(changes_of(method.declared, dropped)))
            run = "not run" if same.spec in requested else f"run as {same.spec}"
            notes.append(f"{spec} equals {same.spec} at IPC {recipe.ipc}, which has {values} too: {run}")
    by_spec = {method.spec: method for method in simplest.values()}
    return tuple(by_spec.values()), tuple(notes)


def _simplest(method: Method, recipe: Recipe) -> Method:
    """Return the method without those of its variants that have no effect in the run."""
    for part in method.parts:
        without = _with(method, [each for each in method.parts if each != part], recipe)
        if _effect(without, recipe) == _effect(method, recipe):
            method = without
    return method


def _check_contradictions(spec: str, method: Method, recipe: Recipe) -> None:
    """Refuse a variant that has an effect alone, but none beside another one."""
    base = _effect(_with(method, [], recipe), recipe)
    alone = {part: _effect(_with(method, [part], recipe), recipe) for part in method.parts}
    for part, other in permutations(method.parts, 2):
        both = _effect(
            _with(method, [each for each in method.parts if each in (part, other)], recipe), recipe
        )
        if both == alone[other] != base != alone[part]:
            raise contradiction(spec, f"{part} has no effect beside {other}")


def _with(method: Method, parts: Sequence[str], recipe: Recipe) -> Method:
    """Return the method with these variants alone."""
    return resolve_method(joined(method.spec.partition(":")[0], parts), recipe)


def _effect(method: Method, recipe: Recipe) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a method and its synthesis that decide about its images in the run.

    Raises:
        UvlpError: its function `effective` returns an invalid value.
    """
    settings, effective = method.settings, method.declared.effective
    if effective is not None:
        settings = effective(settings, recipe.ipc)
        if not isinstance(settings, method.declared.settings):
            raise wrong_return(method.declared.origin.file, "effective", "Settings", settings)
    return deciding(settings), {} if method.synthesis is None else deciding(method.synthesis)
