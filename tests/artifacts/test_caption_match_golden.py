"""Imported captions are found as the published look-up finds them (golden `caption_lookup`)."""

import pytest

from tests.blocks.golden_cases import Case, cases
from uvlp.artifacts.caption_match import match


@pytest.mark.parametrize("case", cases("caption_lookup"), ids=lambda case: case.name)
def test_caption_lookup(case: Case) -> None:
    images = [path.rpartition("/train/")[2] for path in case["in.paths"].tolist()]
    rows = zip(case["in.keys"].tolist(), case["in.values"].tolist(), strict=True)
    # The published look-up knows no names without a folder.
    found = match([row for row in rows if "/" in row[0]], images)
    assert [found.texts[image] for image in images] == case["out.texts"].tolist()
