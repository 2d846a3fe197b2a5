"""Terms of datasets, as the cards of published images state them."""

from __future__ import annotations

from pathlib import Path

from uvlp.core import plugins
from uvlp.declarations.dataset import declared_dataset

PAGE = Path(__file__).resolve().parents[2] / "ARTIFACT.md"


def test_the_terms_are_those_of_the_page_for_evaluators() -> None:
    page = PAGE.read_text(encoding="utf-8")
    terms = {name: declared_dataset(name).licence for name in plugins.names("datasets")}
    assert [name for name, text in terms.items() if not text] == ["folder", "hf"]
    for name, text in terms.items():
        for part in text.split("; "):
            assert part in page, name
