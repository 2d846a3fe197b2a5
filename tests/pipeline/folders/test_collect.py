"""Folders in tables: short names that tell them apart."""

from pathlib import Path

from uvlp.pipeline.folders.collect import LONGEST, titles


def of(*folders: str, taken: tuple[str, ...] = ()) -> list[str]:
    return titles([Path(folder) for folder in folders], taken)


def test_the_last_part_is_enough_where_it_is_the_only_one() -> None:
    assert of("/a/minimax", "/a/ours") == ["minimax", "ours"]


def test_equal_names_take_as_many_parts_as_tell_them_apart() -> None:
    assert of("/a/x/out", "/b/x/out", "/a/y") == ["a/x/out", "b/x/out", "y"]
    assert of("/out", "/b/out") == ["/out", "b/out"]


def test_a_name_that_a_method_has_is_not_used() -> None:
    assert of("/a/random", taken=("Random",)) == ["a/random"]
    assert of("/random", taken=("Random",)) == ["/random"]


def test_names_that_every_result_has_say_whose_they_are() -> None:
    assert of("/a/minimax/train") == ["minimax/train"]
    assert of("/") == ["/"]


def test_long_names_lose_their_middle_but_stay_different() -> None:
    (short,) = of("/a/" + 50 * "x" + 50 * "y")
    assert len(short) == LONGEST and short.startswith("xxx") and short.endswith("yyy") and "…" in short
    assert len(set(of("/a/" + 60 * "x" + "1" + 60 * "x", "/a/" + 60 * "x" + "2" + 60 * "x"))) == 2
