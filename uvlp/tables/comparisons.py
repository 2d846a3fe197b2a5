"""Comparison of every method of a table with one reference, by network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uvlp.artifacts import scores
from uvlp.artifacts.scores import Score
from uvlp.artifacts.tables import Cell, Comparison, Table
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.files.unicode_form import nfc
from uvlp.tables.notes import on_comparisons
from uvlp.tables.uncertainty import (
    CANNOT_TELL,
    LEVEL,
    Difference,
    compare,
    differences,
    holm,
    trainings_that_decide,
    validation,
    verdict,
)

PASSES = ("best", "last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A cell with its scores by (seed, repeat)."""

    cell: Cell
    scores: Mapping[tuple[int, int], Score]


def compare_all(scored: Sequence[Scored], reference: str = "") -> tuple[list[Comparison], list[str]]:
    """Compare every method with a reference, paired by seed, repeat and network.

    Args:
        scored: every cell of a table.
        reference: the reference method; "" for `random`, or the first method without it.

    Returns:
        The comparisons of the best and the last pass, ordered by network and method; and a sentence for
        every method that could not be compared, or only in part.
    """
    reference = reference or _reference([each.cell.method for each in scored])
    comparisons, remarks = [], []
    for network in dict.fromkeys(each.cell.network for each in scored):
        column = {each.cell.method: each for each in scored if each.cell.network == network}
        standard = column.pop(reference)
        remarks += [line for each in column.values() for line in _remarks(each, standard)]
        comparisons += compare_pairs([(each, standard) for each in column.values()])
    return comparisons, remarks


def compare_ablations(scored: Sequence[Scored]) -> tuple[list[Comparison], list[str]]:
    """Compare the first method with every other, its ablations, as `compare_all` does with a reference.

    The p-values of one pass are corrected together, those of all ablations and networks.
    """
    whole = {each.cell.network: each for each in scored if each.cell.method == scored[0].cell.method}
    others = [each for each in scored if each.cell.method != scored[0].cell.method]
    remarks = [line for each in others for line in _remarks(each, whole[each.cell.network])]
    return compare_pairs([(whole[each.cell.network], each) for each in others]), remarks


def against(table: Table, store: Path, method: str) -> Table:
    """Return the table with every other method compared with ``method``, from the scores in ``store``.

    ``method`` is a name of the command line or a title of the table.

    Raises:
        UvlpError: the table has no such method, or a score no longer exists.
    """
    methods = {nfc(cell.title): cell.method for cell in table.cells}
    methods |= {nfc(cell.method): cell.method for cell in table.cells}
    method = nfc(method)
    if method not in methods:
        raise unknown_name("method of this table", method, methods)
    scored = []
    for cell in table.cells:
        keys = zip(cell.seeds, cell.repeats, strict=True)
        by_training = {key: _stored_score(store, name) for key, name in zip(keys, cell.scores, strict=True)}
        scored.append(Scored(cell=cell, scores=by_training))
    comparisons, remarks = compare_all(scored, methods[method])
    old = list(on_comparisons(table.comparisons, table.ablations))
    kept = [note for note in table.notes if note not in old]
    notes = dict.fromkeys([*kept, *on_comparisons(comparisons), *remarks])
    return replace(table, comparisons=tuple(comparisons), notes=tuple(notes), ablations={})


def _stored_score(store: Path, name: str) -> Score:
    try:
        return scores.read(store / name)
    except (OSError, UvlpError) as error:
        raise UvlpError(
            "a score of this table is missing or damaged",
            got=name,
            fix="re-run the command that created the table, with --force if required",
        ) from error


def _reference(methods: Sequence[str]) -> str:
    return next((name for name in methods if name.partition(":")[0] == "random"), methods[0])


def _common(one: Scored, standard: Scored) -> list[tuple[int, int]]:
    return sorted(one.scores.keys() & standard.scores.keys())


def _validation_sets(one: Scored, standard: Scored) -> list[str]:
    all_scores = [*one.scores.values(), *standard.scores.values()]
    return list(dict.fromkeys(validation(score) for score in all_scores))


def _partners(one: Scored, standard: Scored) -> list[tuple[int, int]]:
    """Return the seeds and repeats to compare; empty if the validation images differ."""
    return _common(one, standard) if len(_validation_sets(one, standard)) == 1 else []


def _remarks(one: Scored, standard: Scored) -> Iterator[str]:
    """Yield the reasons why trainings of a method cannot be compared."""
    names = f"{one.cell.title} with {one.cell.network}"
    reference, common = standard.cell.title, len(_common(one, standard))
    sets = _validation_sets(one, standard)
    if len(sets) > 1:
        yield f"{names}: not comparable with {reference}, scored on {' and '.join(sets)}"
    elif not common:
        yield f"{names}: not compared with {reference}, no training has the same seed and repeat"
    else:
        for each in (one, standard):
            if len(each.scores) > common:
                yield (
                    f"{names} against {reference}: {common} of {len(each.scores)} trainings of "
                    f"{each.cell.title} have a partner of the same seed and repeat, only these are compared"
                )


def compare_pairs(pairs: Sequence[tuple[Scored, Scored]]) -> list[Comparison]:
    """Compare the first of each pair with the second, best then last; those without partners are left out.

    The p-values of one pass are corrected together.
    """
    partners = [(one, standard, keys) for one, standard in pairs if (keys := _partners(one, standard))]
    by_pass = []
    for which in PASSES:
        results = [
            compare(
                differences([(one.scores[key], standard.scores[key]) for key in keys], which),
                [seed for seed, _ in keys],
            )
            for one, standard, keys in partners
        ]
        corrected = holm([result.p_value for result in results])
        by_pass.append(
            [
                _comparison(one.cell, standard.cell, which, result, p_holm, _units(keys, result))
                for (one, standard, keys), result, p_holm in zip(partners, results, corrected, strict=True)
            ]
        )
    return [each for both in zip(*by_pass, strict=True) for each in both]


def _units(keys: Sequence[tuple[int, int]], result: Difference) -> int:
    """Return the number of independent pairs of trainings."""
    seeds = {seed for seed, _ in keys}
    return len(seeds) if len(seeds) > 1 else result.pairs


def _comparison(
    cell: Cell, standard: Cell, which: str, result: Difference, p_holm: float, units: int
) -> Comparison:
    judged = verdict(result.points, p_holm)
    level = LEVEL * result.p_value / p_holm  # which Holm's correction demands of this difference
    return Comparison(
        method=cell.method,
        reference=standard.method,
        network=cell.network,
        which=which,
        pairs=result.pairs,
        basis=result.basis,
        difference_points=result.points,
        low_points=result.low_points,
        high_points=result.high_points,
        p_value=result.p_value,
        p_holm=p_holm,
        verdict=judged,
        decided_by=trainings_that_decide(result, units, level) if judged == CANNOT_TELL else None,
    )
