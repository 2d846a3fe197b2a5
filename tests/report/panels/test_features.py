"""Sections from CLIP features: map, objective of α, diagnostics."""

import numpy
import pytest

from uvlp.report.blocks import Figure
from uvlp.report.fused_space import placed, space_of
from uvlp.report.panels import diagnostics, fisher, fused_map
from uvlp.report.pictures import Pictures
from uvlp.report.run import Run, described


def test_images_stand_where_the_mean_of_their_members_lies(run: Run, pictures: Pictures) -> None:
    space = space_of(run)
    assert space is not None and space.alpha == 0.4, "the global α of UVLP"
    prototype = described(run.methods[2])[7]
    shown = list(placed(space, pictures, run.methods[2]))[7]
    mean = space.at(prototype.latent_members).mean(axis=0)
    assert shown.entry.text == prototype.text
    assert numpy.allclose(shown.feature, mean / numpy.linalg.norm(mean), atol=1e-6)
    selected = list(placed(space, pictures, run.methods[0]))[5]
    row = pictures.row_of[selected.entry.source]
    assert numpy.allclose(selected.feature, space.at([row])[0], atol=1e-6)


def test_the_map_has_a_panel_per_method_with_its_pictures(run: Run, pictures: Pictures) -> None:
    panel = fused_map.panel(run, pictures)
    assert [block.title for block in panel.blocks] == ["Random", "VLCP", "UVLP"]  # type: ignore[union-attr]
    points, cells = panel.blocks[2].draw.args  # type: ignore[union-attr]
    assert len(points) == 700 and len(cells) == 30
    assert len({point["class"] for point in points}) == 10


def test_the_objective_is_that_of_the_search(run: Run, pictures: Pictures) -> None:
    from uvlp.methods.algorithms.alpha.global_alpha import global_alpha, split_classes

    (figure,) = fisher.panel(run, pictures).blocks
    assert isinstance(figure, Figure)
    curves, found, chosen = figure.draw.args  # type: ignore[attr-defined]
    assert chosen == 0.4 and {each["level"] for each in found} == {"class", "cluster"}
    sizes = [len(rows) for rows in pictures.rows_of_class]
    classes = split_classes(run.arrays["image"], run.arrays["text"], sizes)
    searched = global_alpha(classes, run.arrays["names"])
    drawn = {point["alpha"]: point["value"] for point in curves if point["what"] == "objective"}
    assert drawn[0.5] == pytest.approx(searched.objective(0.5))
    assert len(drawn) == fisher.STEPS


def test_diagnostics_are_those_of_unit_vectors(run: Run, pictures: Pictures) -> None:
    panel = diagnostics.panel(run, pictures)
    points = panel.blocks[0].draw.args[0]  # type: ignore[union-attr]
    space = space_of(run)
    assert space is not None
    rows = space.at(pictures.rows_of_class[2])
    centre = rows.mean(axis=0) / numpy.linalg.norm(rows.mean(axis=0))
    value = next(
        point["value"]
        for point in points
        if (point["set"], point["measure"], point["class"]) == (diagnostics.REAL, "dispersion", "two")
    )
    assert value == pytest.approx(1 - float((rows @ centre).mean()), abs=1e-6)
    assert {point["measure"] for point in points} == set(diagnostics.MEASURES)


def test_without_features_the_sections_say_so(
    run: Run, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "arrays", {})
    for section in (fused_map, fisher, diagnostics):
        panel = section.panel(run, pictures)
        assert not panel.blocks and panel.left_out
