"""Ablations of a method: the method with each of its variants, to see what each part is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from uvlp.core.errors import UvlpError
from uvlp.pipeline.planning.contenders import Method
from uvlp.pipeline.planning.equal_variants import distinct
from uvlp.pipeline.planning.variants import Contradiction, joined, text_of
from uvlp.recipes.schema import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablated:
    """What to ablate.

    Attributes:
        method: with its variants, if any, as on the command line.
        pairs: whether two of its variants are combined too.
    """

    method: str
    pairs: bool = False


def ablations(recipe: Recipe, ablated: Ablated) -> tuple[tuple[Method, ...], tuple[str, ...]]:
    """Return the method, then its ablations that differ; and a sentence for each that is not run.

    Raises:
        UvlpError: an unknown method or variant, a method without variants that take a part away, or one that
            none of them changes in this run.
    """
    (base,), of_base = distinct(replace(recipe, methods=(ablated.method,)))
    variants = base.declared.variants
    others = [name for name, each in variants.items() if each.ablation and name not in base.parts]
    if not others:
        raise UvlpError(
            "a method without variants to ablate", got=ablated.method, fix="see `uvlp list methods`"
        )
    wanted = [(part,) for part in others] + (list(combinations(others, 2)) if ablated.pairs else [])
    specs, contradicting = _consistent(recipe, base, wanted)
    methods, notes = distinct(replace(recipe, methods=(base.spec, *specs)))
    if len(methods) == 1:
        fix = "choose another IPC, dataset or profile"
        raise UvlpError(f"no variant of {base.spec} changes it in this run", got=", ".join(specs), fix=fix)
    left_out = [f"not run, because their parts contradict each other: {', '.join(contradicting)}"]
    return methods, (*of_base, *notes, *left_out * bool(contradicting))


def _consistent(
    recipe: Recipe, base: Method, wanted: Sequence[tuple[str, ...]]
) -> tuple[list[str], list[str]]:
    """Return the base with each of the wanted additions, and those that contradict themselves."""
    consistent: list[str] = []
    contradicting: list[str] = []
    for added in wanted:
        spec = joined(base.spec.partition(":")[0], (*base.parts, *added))
        try:
            distinct(replace(recipe, methods=(spec,)))
        except Contradiction:
            contradicting.append(spec)
        else:
            consistent.append(spec)
    return consistent, contradicting


def removed(methods: Sequence[Method]) -> dict[str, str]:
    """Return what each method but the first removes from that, or replaces in it, in plain words, by name."""
    base, *others = methods
    return {
        method.spec: text_of(method.declared, [part for part in method.parts if part not in base.parts])
        for method in others
    }
