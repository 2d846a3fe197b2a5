"""The committed texts of the published tables and their claims are those that would be written."""

from tools import paper_table_texts


def test_committed_texts_are_current() -> None:
    for path, text in paper_table_texts.files().items():
        committed = path.read_text(encoding="utf-8")
        assert committed == text, f"{path.name} is stale: python -m tools.paper_table_texts"
