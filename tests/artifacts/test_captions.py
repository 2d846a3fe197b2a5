"""The captions artifact: what is written is read, and every missing caption is counted."""

from pathlib import Path

import pytest

from uvlp.artifacts.captions import Captions, check, check_coverage, read, write
from uvlp.core.errors import UvlpError

FILES = tuple(f"train/cat/{number}.png" for number in range(5))
TEXTS = {FILES[0]: 'a "cät"\nsitting', FILES[2]: "  ", FILES[4]: "another"}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, [(name, TEXTS.get(name, "")) for name in FILES], {"cat": "a photo of a cät"})
    found = read(tmp_path)
    assert found == Captions(FILES, (TEXTS[FILES[0]], "", "  ", "", "another"), {"cat": "a photo of a cät"})
    assert found.missing == 3


def test_equal_captions_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        write(tmp_path / name, [(FILES[0], "ö")], {"cat": "c"})
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["metadata.jsonl", "prompts.json"]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_missing_captions_stop_the_run_named_and_counted() -> None:
    with pytest.raises(
        UvlpError, match=r"3 of 5 training images have no caption: got 'train/cat/1.png, .*3.png'"
    ):
        check_coverage(FILES, TEXTS, "stop")


def test_missing_captions_are_counted_where_allowed() -> None:
    assert check_coverage(FILES, TEXTS, "empty") == 3


def test_complete_captions_pass() -> None:
    assert check_coverage(FILES, dict.fromkeys(FILES, "text"), "stop") == 0


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(UvlpError, match="missing captions: got 'ignore'; allowed: stop, empty"):
        check_coverage(FILES, TEXTS, "ignore")


def test_rows_must_be_the_training_images_in_order() -> None:
    check(Captions(FILES, ("",) * 5), FILES)
    with pytest.raises(UvlpError, match=r"row 2: train/cat/2.png for train/cat/1.png"):
        check(Captions((FILES[0], FILES[2], FILES[1]), ("",) * 3), FILES[:3])
    with pytest.raises(UvlpError, match="got '4 rows'; allowed: 5 rows"):
        check(Captions(FILES[:4], ("",) * 4), FILES)
