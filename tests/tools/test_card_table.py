"""The README's table of cards is the program's."""

from __future__ import annotations

from pathlib import Path

from tools import card_table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_has_the_table_as_the_program_computes_it() -> None:
    table = "\n".join(card_table.lines())
    assert f"\n\n{table}\n\n" in README.read_text(encoding="utf-8"), "python -m tools.card_table"
