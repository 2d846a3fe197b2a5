"""Altair charts to SVG, PDF and PNG, and to SVG inside a page that follows its colours."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

from uvlp.report.pictures import smaller

PALETTE = (
    *("#3b7dd8", "#e0712c", "#2a9d6f", "#c9507f", "#8a63d2"),
    *("#b8901f", "#17a0b0", "#d5504c", "#7d8797", "#79a02c"),
)
"""Colours of methods and classes; each readable on white and on near-black."""
INK, FAINT = "#20242c", "#8b93a1"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
PNG_SCALE = 2
FORMATS = ("svg", "pdf", "png")
_UNUSED = re.compile(
    r' (?:aria-hidden|aria-roledescription|role|pointer-events)="[^"]*"| (?:stroke-opacity|opacity)="1"'
)
_EMPTY = re.compile(r'<path class="(?:foreground|background)"[^>]*?/>')
_LABELLED = re.compile(r'<(path|image|line|rect)\b([^>]*?) aria-label="([^"]*)"([^>]*?)/>')
_CLIP = re.compile(r'(id="|url\(#)((?:clip|gradient)[\w-]*)')
_PLACE = re.compile(r' (?:d|transform|x2|y2|width|height)="[^"]*"')
_PICTURE = re.compile(r"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+")
_DECIMALS = re.compile(r"(\d\.\d)\d+")
_numbers = itertools.count()


def values(rows: list[dict[str, Any]]) -> Any:
    """Return rows as inline data of a chart."""
    import altair

    return altair.Data(values=rows)


def colours(names: list[str]) -> Any:
    """Return a scale that gives each name its colour, the same in every chart."""
    import altair

    palette = [PALETTE[index % len(PALETTE)] for index in range(len(names))]
    return altair.Scale(domain=names, range=palette)


def spec(chart: Any, *, exported: bool = False) -> dict[str, Any]:
    """Return the Vega-Lite specification of a chart in the report's style; a file of its own is white."""
    padding = 16 if exported else 6
    chart = chart.configure(background="white" if exported else "transparent", font=FONT, padding=padding)
    chart = chart.configure_view(stroke=None)
    chart = chart.configure_axis(
        labelColor=INK, titleColor=INK, gridColor=FAINT, gridOpacity=0.25, domainColor=FAINT, tickColor=FAINT,
        labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelLimit=150,
    )  # fmt: skip
    chart = chart.configure_legend(
        labelColor=INK, titleColor=INK, labelFontSize=12, titleFontSize=12, labelLimit=180,
        orient="bottom", columns=3, titleFontWeight="normal",
    )  # fmt: skip
    chart = chart.configure_title(color=INK, fontSize=14, anchor="start", fontWeight=600, subtitleColor=INK)
    chart = chart.configure_header(labelColor=INK, titleColor=INK, labelFontSize=12)
    specification: dict[str, Any] = chart.to_dict()
    return specification


def svg(chart: Any, *, exported: bool = False) -> str:
    """Return a chart as SVG."""
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(spec(chart, exported=exported))
    return text


def file_bytes(text: str, form: str) -> bytes:
    """Convert an SVG to one of `FORMATS`."""
    import vl_convert

    if form == "svg":
        return text.encode()
    converted: bytes = (
        vl_convert.svg_to_pdf(text) if form == "pdf" else vl_convert.svg_to_png(text, scale=PNG_SCALE)
    )
    return converted


def inline(chart: Any, text: str) -> str:
    """Return a chart as SVG inside HTML: an image with the alternative ``text``.

    Text and lines get their colours from the page's style sheet; the label of a mark becomes its tooltip.
    """
    drawn = _EMPTY.sub("", svg(chart))
    drawn = _LABELLED.sub(_with_tooltip, drawn)
    drawn = _PICTURE.sub(lambda found: smaller(found[0]), _UNUSED.sub("", drawn))
    drawn = _PLACE.sub(lambda found: _DECIMALS.sub(r"\1", found[0]), drawn)
    number = next(_numbers)  # ids are unique in a page
    drawn = _CLIP.sub(rf"\1f{number}-\2", drawn)
    attributes = f'role="img" aria-label="{html.escape(text)}"'
    drawn = drawn.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
    drawn = drawn.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "", 1)
    drawn = drawn.replace("xlink:href", "href")
    return drawn.replace("<svg ", f"<svg {attributes} ", 1)


def _with_tooltip(match: re.Match[str]) -> str:
    name, before, label, after = match.groups()
    return f"<{name}{before}{after}><title>{label}</title></{name}>"
