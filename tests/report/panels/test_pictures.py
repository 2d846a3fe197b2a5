"""Sections with pictures: sheets, prototypes by class, and disagreements."""

import base64
import io

import numpy
import pytest
from PIL import Image

from uvlp.core.errors import UvlpError
from uvlp.report.blocks import Figure, Gallery
from uvlp.report.panels import agreement, examples, sheets
from uvlp.report.pictures import Pictures, as_uri, evenly
from uvlp.report.run import Run


def decoded(uri: str) -> numpy.ndarray:
    kind, _, data = uri.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg", "data:image/webp")
    return numpy.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_a_small_image_is_kept_and_a_large_one_made_smaller() -> None:
    small = numpy.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=numpy.uint8)
    assert (decoded(as_uri(small)) == small).all()
    assert decoded(as_uri(numpy.zeros((200, 100, 3), numpy.uint8))).shape == (96, 48, 3)
    assert len(as_uri(small, webp=True)) < len(as_uri(small)) / 2


def test_sheets_have_a_row_of_images_per_class(run: Run, pictures: Pictures) -> None:
    panel = sheets.panel(run, pictures)
    assert [block.title.split(",")[0] for block in panel.blocks] == ["Random", "VLCP", "UVLP"]  # type: ignore[union-attr]
    cells = panel.blocks[2].draw.args[0]  # type: ignore[union-attr]
    assert [cell["class"] for cell in cells[::3]] == run.class_names
    method = run.methods[2]
    entry = pictures.of_class(method)[4][1]
    assert (decoded(cells[13]["uri"]) == pictures.image(method, entry)).all()
    assert entry.text in cells[13]["label"]


def test_every_synthesised_image_has_neighbour_member_and_numbers(run: Run, pictures: Pictures) -> None:
    (gallery,) = examples.panel(run, pictures).blocks
    assert isinstance(gallery, Gallery) and [shelf.title for shelf in gallery.shelves] == run.class_names
    (vlcp, of_vlcp), (uvlp, of_uvlp) = gallery.shelves[3].groups
    assert (vlcp, uvlp, len(of_vlcp), len(of_uvlp)) == ("VLCP", "UVLP", 3, 3)
    card = of_uvlp[0]
    assert [picture.label for picture in card.pictures] == ["nearest real", "nearest member", "synthesised"]
    text = " ".join(card.lines)
    assert "α: global 0.40, class 0.50, cluster 0." in text and "hub score 0." in text
    rows = pictures.rows_of_class[3]
    assert f"{-(-len(rows) // 3)} images in its cluster, 2 latents averaged" in text
    assert "<b>of</b>" in card.lines[0], "escaped by the page, not here"


def test_the_neighbour_is_the_nearest_training_image_in_pixels(run: Run, pictures: Pictures) -> None:
    method, row = run.methods[2], pictures.rows_of_class[6][17]
    copy = pictures.real([row])[0]
    found = examples._Neighbours(run, pictures).find(method, 6, "6/00000.png", copy)
    file, image = found["nearest real"]
    assert file == pictures.dataset.files("train")[row] and (image == copy).all()


def test_without_the_dataset_the_rest_is_shown_and_the_reason(run: Run) -> None:
    def gone(place: str, content_hash: str) -> object:
        raise UvlpError("the folder is gone", got="digits")

    pictures = Pictures(run, gone)
    panel = examples.panel(run, pictures)
    assert any("the folder is gone" in line for line in panel.left_out)
    card = panel.blocks[0].shelves[0].cards[0]  # type: ignore[union-attr]
    assert [picture.label for picture in card.pictures] == ["synthesised"]
    figure, gallery = agreement.panel(run, pictures).blocks
    assert len(gallery.shelves[0].cards) == agreement.IMAGES, "as the networks saw them"  # type: ignore[union-attr]


def test_accuracy_by_class_counts_the_stored_bits(run: Run, pictures: Pictures) -> None:
    labels = pictures.validation_labels()
    assert labels is not None and len(labels) == 490
    shares = agreement._shares(run.methods[0])
    assert len(shares) == 490
    assert 100 * shares.mean() == pytest.approx(run.table.cells[0].best.mean_pct)
    figure, gallery = agreement.panel(run, pictures).blocks
    assert isinstance(figure, Figure) and isinstance(gallery, Gallery)
    cells = {(cell["class"], cell["method"]): cell["pct"] for cell in figure.draw.args[0]}  # type: ignore[attr-defined]
    of_class = numpy.asarray(labels) == 3
    assert cells["three", "Random"] == pytest.approx(100 * shares[of_class].mean())
    first = gallery.shelves[0].cards[0]
    counts = [int(line.split(": ")[1].split(" of ")[0]) for line in first.lines]
    assert max(counts) == 2 and min(counts) == 0, "all trainings of one method, none of another"


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(3, 5, [0, 1, 2]), (10, 5, [0, 2, 4, 6, 8]), (0, 5, [])]
)
def test_positions_are_evenly_spaced(count: int, most: int, expected: list[int]) -> None:
    assert evenly(count, most) == expected
