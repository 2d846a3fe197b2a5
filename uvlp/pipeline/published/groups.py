"""Groups of methods by name: `paper`, the columns of a dataset's published tables, and `all`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.declarations.method import declared_method
from uvlp.tables import published

PAPER, ALL = "paper", "all"
GROUPS = (PAPER, ALL)
FIRST, LAST = "random", "full"
"""Methods that every group has, as its first and last rows."""


def expand(names: Sequence[str], dataset: str) -> list[str]:
    """Return the methods with every group replaced by its methods, each once.

    Args:
        names: methods with variants, and names of groups.
        dataset: as on the command line, e.g. ``"imagewoof"`` or ``"folder:PATH"``.

    Raises:
        UvlpError: the dataset is in no published table, so that it has no group `paper`.
    """
    expanded = [each for name in names for each in (_group(name, dataset) if name in GROUPS else [name])]
    return list(dict.fromkeys(expanded))


def _group(name: str, dataset: str) -> list[str]:
    here = plugins.names("methods")
    if name == ALL:
        return _with_ends(sorted(here, key=lambda each: (_column(each), each)))
    columns = _columns(dataset)
    if not columns:
        datasets = sorted({cell.dataset for cell in published.cells()})
        raise UvlpError(
            f"--method {PAPER}: the dataset is in no published table",
            got=dataset,
            allowed=", ".join(datasets),
            fix=f"use --method {ALL}, or name the methods",
        )
    return _with_ends(sorted((each for each in columns if each in here), key=_column))


def _columns(dataset: str) -> set[str]:
    """Return the methods of the published tables of a dataset."""
    wanted = published.canonical(dataset.partition(":")[0])
    return {cell.method for cell in published.cells() if published.canonical(cell.dataset) == wanted}


def _with_ends(methods: Iterable[str]) -> list[str]:
    return [FIRST, *(each for each in methods if not _is_end(each)), LAST]


def _is_end(method: str) -> bool:
    return method == FIRST or declared_method(method).whole_set


def _column(method: str) -> int:
    """Return the position of a method among the columns of published tables; others come last."""
    columns = list(published.TITLES)
    return columns.index(method) if method in columns else len(columns)
