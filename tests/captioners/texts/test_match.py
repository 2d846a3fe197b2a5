"""Imported captions are found as the published look-up finds them (golden `caption_lookup`)."""

import pytest

from tests.methods.algorithms.golden_cases import Case, cases
from uvlp.captioners.texts.match import match


@pytest.mark.parametrize("case", cases("caption_lookup"), ids=lambda case: case.name)
def test_caption_lookup(case: Case) -> None:
    wnid, published = case["in.wnid"], case["out.texts"].tolist()
    images = [f"{wnid}/{path.rpartition('/')[2]}" for path in case["in.paths"].tolist()]
    rows = list(zip(case["in.keys"].tolist(), case["in.values"].tolist(), strict=True))
    # The published look-up knows no names without a folder.
    found = match([row for row in rows if "/" in row[0]], images)
    assert len(images) == len(published) > 0
    for image, wanted in zip(images, published, strict=True):
        if wanted.strip():
            assert found.texts[image] == wanted
        else:
            # It knows two spellings of a name only; an import takes the others too.
            known = {image, image.replace(f"_{wnid}.JPEG", ".JPEG")}
            assert found.texts[image] in {"", *(text for name, text in rows if name not in known)}
