"""The page: every section of every run, drawn, in one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uvlp.core.progress import Progress
from uvlp.report import charts, sections
from uvlp.report.blocks import Figure, Panel
from uvlp.report.output import MARK
from uvlp.report.panels import comparison
from uvlp.report.pictures import Pictures
from uvlp.report.run import Open, Run

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(kw_only=True)
class Report:
    """Everything that is shown.

    Attributes:
        runs: the runs, side by side.
        together: the section about all runs.
        panels: a list of panels per section, one for each run.
    """

    runs: Sequence[Run]
    together: Panel
    panels: list[list[Panel]] = field(default_factory=list)

    @property
    def figures(self) -> Iterator[tuple[str, Any]]:
        """File name without its ending, and chart with titles, of every figure."""
        for name in sections.OF_ALL_RUNS:
            yield from self._of([self.together], name, name, sections.caption(self.runs))
        for panels in self.panels:
            for run, panel in zip(self.runs, panels, strict=True):
                blocks = [block for block in panel.blocks if isinstance(block, Figure)]
                for name in dict.fromkeys(block.name for block in blocks):
                    path = f"{run.name}-{name}" if len(self.runs) > 1 else name
                    yield from self._of([panel], name, path, run.table.caption)

    def _of(self, panels: Sequence[Panel], name: str, path: str, text: str) -> Iterator[tuple[str, Any]]:
        every = [block for panel in panels for block in panel.blocks]
        found = [block for block in every if isinstance(block, Figure) and block.name == name]
        if found:
            yield path, sections.combined(found, text)


def build(runs: Sequence[Run], open_dataset: Open, progress: Progress) -> Report:
    """Compute every section of the runs.

    Raises:
        UvlpError: an artifact is damaged.
    """
    pictures = [Pictures(run, open_dataset) for run in runs]
    for run, shown in zip(runs, pictures, strict=True):
        if shown.why_no_dataset:
            progress.log(f"{run.name}: {shown.why_no_dataset}")
    report = Report(runs=runs, together=comparison.panel(runs))
    for section in progress.track(sections.SECTIONS, "sections"):
        report.panels.append([section.panel(run, shown) for run, shown in zip(runs, pictures, strict=True)])
    return report


def html(report: Report, progress: Progress) -> str:
    """Return the page."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["drawings"] = _drawings
    panels = [
        [panel for panel in of_section if panel.blocks or panel.left_out] for of_section in report.panels
    ]
    tracked = progress.track([each for each in panels if each], "drawing")
    return environment.get_template("page.html").render(
        runs=report.runs,
        together=report.together,
        sections=tracked,
        links=[(each[0].id, each[0].title) for each in panels if each],
        names=[run.name for run in report.runs],
        mark=MARK,
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"),
    )


def _drawings(figure: Figure) -> Iterator[tuple[str, str]]:
    """Yield the SVG of a figure at each of its widths with its class: "only", "wide" or "narrow"."""
    for width in figure.widths:
        kind = "only" if len(figure.widths) == 1 else "wide" if width == max(figure.widths) else "narrow"
        yield kind, charts.inline(figure.draw(width), figure.text)
