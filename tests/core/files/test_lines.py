"""Lines end only at line feeds, whatever else a caption, a prompt or a name contains."""

import ast
from pathlib import Path

import numpy

import uvlp
from uvlp.artifacts import captions, distilled, prototypes
from uvlp.captioners.texts import answers
from uvlp.core.files.lines import read_lines, split_lines

BREAKS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
TEXT = "".join(f"{mark}{number}" for number, mark in enumerate(BREAKS))
IMAGE = numpy.zeros((8, 8, 3), numpy.uint8)


def test_only_line_feeds_end_lines(tmp_path: Path) -> None:
    assert split_lines(f"a{TEXT}\r\n\nb\rc\n") == [f"a{TEXT}", "", "b\rc"]
    assert split_lines("a\nb") == ["a", "b"]
    assert split_lines("") == []
    path = tmp_path / "lines"
    path.write_bytes(f"\ufeff{TEXT}\r\nb".encode())
    assert read_lines(path, "utf-8-sig") == [TEXT, "b"]


def test_text_with_other_breaks_survives_every_file_format(tmp_path: Path) -> None:
    captions.write(tmp_path, [("a.png", TEXT)], {"a": TEXT})
    assert captions.read(tmp_path).texts == (TEXT,)
    entry = distilled.Entry(file_name="a/0.png", label=0, class_id="a", class_name=TEXT, text=TEXT)
    distilled.write(tmp_path, [entry], [IMAGE], [IMAGE])
    assert distilled.read_entries(tmp_path) == [entry]
    row = prototypes.Prototype(class_id="a", slot=0, text=TEXT, members=(0,), latent_members=(0,))
    prototypes.write(tmp_path, 1, [(numpy.zeros((1, 4, 2, 2)), [row])])
    assert prototypes.read(tmp_path)[1] == [row]
    given = [answers.Answer(TEXT)]
    answers.write(tmp_path, given)
    assert answers.read(tmp_path) == given


def test_splitlines_is_not_used() -> None:
    for path in sorted(Path(uvlp.__file__).parent.rglob("*.py")):
        called = {
            node.attr for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Attribute)
        }
        assert "splitlines" not in called, f"{path.name}: use core/files/lines.py"
