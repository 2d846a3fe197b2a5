import pytest

from uvlp.core.errors import UvlpError
from uvlp.datasets.files.class_folders import candidates, first_files


def test_the_walk_is_in_string_order_own_files_first() -> None:
    names = ["z.png", "sub/a.png", "10.JPG", "9.jpg", "sub-a/b.png", "A.png", "notes.txt", ".png.bak"]
    expected = ["10.JPG", "9.jpg", "A.png", "z.png", "sub/a.png", "sub-a/b.png"]
    assert candidates(names) == expected


def test_labels_are_positions_and_classes_come_in_string_order() -> None:
    assert first_files({"b": ["1.png", "0.png"], "a": ["x.png"]}, 1) == [("a/x.png", 1), ("b/0.png", 0)]


def test_too_few_images_are_an_error() -> None:
    with pytest.raises(UvlpError, match="too few images of class a: got 1; allowed: 2 or more"):
        first_files({"a": ["x.png", "notes.txt"]}, 2)
