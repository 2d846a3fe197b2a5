"""Names of folders in tables are short and unique."""

from pathlib import Path

from uvlp.pipeline.folders.collect import LONGEST, titles


def of(*folders: str, taken: tuple[str, ...] = ()) -> list[str]:
    return titles([Path(folder) for folder in folders], taken)


def test_last_part_is_used_if_unique() -> None:
    assert of("/a/minimax", "/a/ours") == ["minimax", "ours"]


def test_equal_names_are_extended_until_unique() -> None:
    assert of("/a/x/out", "/b/x/out", "/a/y") == ["a/x/out", "b/x/out", "y"]
    assert of("/out", "/b/out") == ["/out", "b/out"]


def test_names_of_methods_are_not_used() -> None:
    assert of("/a/random", taken=("Random",)) == ["a/random"]
    assert of("/random", taken=("Random",)) == ["/random"]


def test_generic_names_are_extended() -> None:
    assert of("/a/minimax/train") == ["minimax/train"]
    assert of("/") == ["/"]


def test_long_names_are_cut_and_stay_unique() -> None:
    (short,) = of("/a/" + 50 * "x" + 50 * "y")
    assert len(short) == LONGEST and short.startswith("xxx") and short.endswith("yyy") and "…" in short
    assert len(set(of("/a/" + 60 * "x" + "1" + 60 * "x", "/a/" + 60 * "x" + "2" + 60 * "x"))) == 2
