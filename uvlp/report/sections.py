"""The sections of a report in order, and the figures that each has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.report.blocks import WIDE, Figure, Panel
from uvlp.report.panels import (
    accuracy,
    agreement,
    comparison,
    cost,
    curves,
    diagnostics,
    examples,
    fisher,
    fused_map,
    settings,
    sheets,
)
from uvlp.report.pictures import Pictures
from uvlp.report.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section about each run; ``make`` needs pictures where ``pictures`` is set."""

    make: Callable[..., Panel]
    figures: tuple[str, ...] = ()
    pictures: bool = True

    def panel(self, run: Run, pictures: Pictures) -> Panel:
        """Return the section about a run."""
        return self.make(run, pictures) if self.pictures else self.make(run)


SECTIONS = (
    Section(make=accuracy.panel, figures=("accuracy",), pictures=False),
    Section(make=sheets.panel, figures=("images",)),
    Section(make=curves.panel, figures=("curves",), pictures=False),
    Section(make=fused_map.panel, figures=("map",)),
    Section(make=examples.panel),
    Section(make=fisher.panel, figures=("fisher",)),
    Section(make=diagnostics.panel, figures=("diagnostics",)),
    Section(make=agreement.panel, figures=("classes",)),
    Section(make=cost.panel, figures=("cost",), pictures=False),
    Section(make=settings.panel, pictures=False),
)
OF_ALL_RUNS = ("runs", "ipc")
"""Figures of `panels/comparison.py`, which has all runs at once."""
FIGURES = tuple(sorted((*OF_ALL_RUNS, *(name for each in SECTIONS for name in each.figures))))


def check_figure(name: str) -> None:
    """Refuse an unknown figure.

    Raises:
        UvlpError: names the nearest one.
    """
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)


def figure(name: str, runs: Sequence[Run], pictures: Sequence[Pictures]) -> Any:
    """Return a figure of runs as one chart with titles.

    Raises:
        UvlpError: unknown figure, or the runs have nothing that it shows.
    """
    check_figure(name)
    if name in OF_ALL_RUNS:
        panels = [comparison.panel(runs)]
    else:
        section = next(each for each in SECTIONS if name in each.figures)
        panels = [section.panel(run, shown) for run, shown in zip(runs, pictures, strict=True)]
    found = [
        (panel, block)
        for panel in panels
        for block in panel.blocks
        if isinstance(block, Figure) and block.name == name
    ]
    if not found:
        reasons = " ".join(line for panel in panels for line in panel.left_out)
        what = f"nothing to draw in the figure {name}"
        fix = reasons or "it needs several runs, or published values at several IPC"
        raise UvlpError(what, got=", ".join(run.name for run in runs), fix=fix)
    return combined([block for _, block in found], caption(runs))


def caption(runs: Sequence[Run]) -> str:
    """Return the captions of the runs' tables."""
    return "; ".join(run.table.caption for run in runs)


def combined(figures: Sequence[Figure], text: str) -> Any:
    """Return figures of one name as panels of one chart, below a title with ``text``."""
    import altair

    drawn = [figure.draw(figure.widths[0]).properties(title=figure.title) for figure in figures]
    if len(drawn) == 1:
        title = altair.TitleParams(figures[0].title, subtitle=text)
        return figures[0].draw(figures[0].widths[0]).properties(title=title)
    columns = 1 if figures[0].widths[0] >= WIDE[0] else len(drawn) if len(drawn) < 5 else -(-len(drawn) // 2)
    title = altair.TitleParams(text, fontSize=16, offset=14)
    return altair.concat(*drawn, columns=columns, spacing=20).properties(title=title)
