"""The captions artifact is read as written, and missing captions are counted."""

from pathlib import Path

import pytest

from uvlp.artifacts.captions import Captions, check, check_coverage, read, write
from uvlp.core.errors import UvlpError

FILES = tuple(f"train/cat/{number}.png" for number in range(5))
TEXTS = {FILES[0]: 'a "cät"\nsitting', FILES[2]: "  ", FILES[4]: "another"}


def test_written_captions_are_read_back(tmp_path: Path) -> None:
    write(tmp_path, [(name, TEXTS.get(name, "")) for name in FILES], {"cat": "a photo of a cät"})
    captions = read(tmp_path)
    assert captions == Captions(
        FILES, (TEXTS[FILES[0]], "", "  ", "", "another"), {"cat": "a photo of a cät"}
    )
    assert captions.missing == 3


def test_equal_captions_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        write(tmp_path / name, [(FILES[0], "ö")], {"cat": "c"})
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["metadata.jsonl", "prompts.json"]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_missing_captions_are_refused_named_and_counted() -> None:
    with pytest.raises(UvlpError) as caught:
        check_coverage(FILES, TEXTS, "stop")
    assert caught.value.what.startswith("3 of 5 ")
    assert caught.value.got == "train/cat/1.png, train/cat/2.png, train/cat/3.png"


def test_missing_captions_are_counted_if_allowed() -> None:
    assert check_coverage(FILES, TEXTS, "empty") == 3


def test_complete_captions_are_accepted() -> None:
    assert check_coverage(FILES, dict.fromkeys(FILES, "text"), "stop") == 0


def test_unknown_rule_for_missing_captions_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        check_coverage(FILES, TEXTS, "ignore")
    assert (caught.value.got, caught.value.allowed) == ("ignore", "stop, empty")


def test_rows_must_be_the_training_images_in_order() -> None:
    check(Captions(FILES, ("",) * 5), FILES)
    with pytest.raises(UvlpError) as caught:
        check(Captions((FILES[0], FILES[2], FILES[1]), ("",) * 3), FILES[:3])
    assert caught.value.got == "row 2: train/cat/2.png for train/cat/1.png"
    with pytest.raises(UvlpError) as caught:
        check(Captions(FILES[:4], ("",) * 4), FILES)
    assert caught.value.got == "4 rows" and str(caught.value.allowed).startswith("5 rows")
