"""Profiles: the same recipe at another size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from uvlp.core.errors import unknown_name
from uvlp.recipes.schema import Recipe


def _nano(recipe: Recipe) -> Recipe:
    """Two steps everywhere: tests of wiring, resuming and bad input. Its numbers mean nothing."""
    return replace(
        recipe,
        profile="nano",
        repeats=2,
        note="profile nano: two steps everywhere, the numbers mean nothing",
        embedder=replace(recipe.embedder, steps=2),
        autoencoder=replace(recipe.autoencoder, steps=2),
        diffuser=replace(recipe.diffuser, steps=2),
        evaluate=replace(recipe.evaluate, epochs=2, epochs_full=2, validations=2, width=8),
        rded=replace(recipe.rded, epochs=2, epochs_full=2),
        # Enough for a teacher that is above chance, which is checked.
        teacher=replace(recipe.teacher, epochs=6, batch=8),
        method={
            name: {**changes, "synthesis": {**changes.get("synthesis", {}), "steps": 2, "strength": 0.5}}
            if name in ("uvlp", "vlcp", "d4m")
            else changes
            for name, changes in recipe.method.items()
        },
    )


PROFILES: dict[str, Callable[[Recipe], Recipe]] = {"tiny": lambda recipe: recipe, "nano": _nano}


def apply(recipe: Recipe, profile: str) -> Recipe:
    """The recipe at the size of ``profile``.

    Raises:
        UvlpError: unknown profile.
    """
    if profile not in PROFILES:
        raise unknown_name("profile", profile, PROFILES)
    return PROFILES[profile](recipe)
