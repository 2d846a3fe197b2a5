"""Captions are matched as in the published look-up (golden `caption_lookup`)."""

from tests.methods.algorithms.golden_cases import cases
from uvlp.captioners.texts.match import match


def test_captions_are_those_of_the_published_lookup() -> None:
    for case in cases("caption_lookup"):
        wnid, published = case["in.wnid"], case["out.texts"].tolist()
        images = [f"{wnid}/{path.rpartition('/')[2]}" for path in case["in.paths"].tolist()]
        rows = list(zip(case["in.keys"].tolist(), case["in.values"].tolist(), strict=True))
        # The published look-up does not match names without a folder.
        texts = match([row for row in rows if "/" in row[0]], images).texts
        assert len(images) == len(published) > 0, case.name
        for image, expected in zip(images, published, strict=True):
            # It only knows two forms of a name; an import accepts others too.
            known = {image, image.replace(f"_{wnid}.JPEG", ".JPEG")}
            others = {"", *(text for name, text in rows if name not in known)}
            assert texts[image] in ({expected} if expected.strip() else others), (case.name, image)
