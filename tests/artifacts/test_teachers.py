"""Teachers are read as written; incomplete and damaged ones are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uvlp.artifacts import teachers
from uvlp.artifacts.teachers import Teacher
from uvlp.core.errors import UvlpError

TEACHER = Teacher(
    architecture="conv3",
    size_px=32,
    class_ids=("n01440764", "Hähnchen"),
    source="trained here, 3 epochs",
    accuracy_pct=87.5,
    per_class_pct=(87.5, None),
    validation_set="two, 8 test images",
    validation_images=8,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    teachers.write(tmp_path, TEACHER)
    (tmp_path / teachers.WEIGHTS).write_bytes(b"weights")
    return tmp_path


def test_written_teacher_is_read_back(folder: Path) -> None:
    assert teachers.read(folder) == TEACHER
    assert teachers.read(folder).classes == 2


def test_description_is_readable_json(folder: Path) -> None:
    text = (folder / "teacher.json").read_text(encoding="utf-8")
    assert "Hähnchen" in text and json.loads(text)["per_class_pct"] == [87.5, None]


@pytest.mark.parametrize("name", [teachers.WEIGHTS, teachers.FACTS])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(UvlpError) as caught:
        teachers.read(folder)
    assert f"{name} not found" in caught.value.what and caught.value.got == str(folder)


@pytest.mark.parametrize("damage", ["", "{", "[]", "7", '{"architecture": "conv3"}', "null"])
def test_damaged_description_is_refused(folder: Path, damage: str) -> None:
    (folder / teachers.FACTS).write_text(damage)
    with pytest.raises(UvlpError) as caught:
        teachers.read(folder)
    assert (caught.value.what, caught.value.got) == ("damaged teacher.json of a teacher", str(folder))


def test_unknown_field_is_refused(folder: Path) -> None:
    values = json.loads((folder / teachers.FACTS).read_text(encoding="utf-8"))
    (folder / teachers.FACTS).write_text(json.dumps({**values, "epochs": 3}))
    with pytest.raises(UvlpError) as caught:
        teachers.read(folder)
    assert caught.value.what == "damaged teacher.json of a teacher"
