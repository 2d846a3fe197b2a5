"""Tables as HTML for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table_html(caption: str, head: Sequence[str], body: Iterable[Sequence[str]], notes: Iterable[str]) -> str:
    """Return a table with a caption, and notes below it; every text is escaped."""
    titles = "".join(f"<th>{escape(text)}</th>" for text in head)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in body)
    below = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{titles}</tr></thead>"
        f"<tbody>{rows}</tbody></table>" + (f"<ul>{below}</ul>" if below else "")
    )
