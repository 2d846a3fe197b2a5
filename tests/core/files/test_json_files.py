"""JSON with an unexpected structure is reported as damage, never a crash."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.stored_tables import put_table
from tests.tables.test_table import TABLE
from uvlp.artifacts import tables
from uvlp.artifacts.parts.parts import MARK, PLAN, Parts, Plan, Share
from uvlp.artifacts.task import MANIFEST, read_manifest
from uvlp.cli import app
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.tables.table import texts


@dataclass(frozen=True)
class Inner:
    share: float | None


@dataclass(frozen=True)
class Record:
    name: str
    count: int
    pairs: tuple[tuple[int, float], ...]
    inner: Inner
    more: dict[str, Any] = field(default_factory=dict)


GOOD = {"name": "a", "count": 1, "pairs": [[1, 2], [3, 0.5]], "inner": {"share": None}}
BAD: dict[str, str] = {
    "an empty file": "",
    "null": "null",
    "a list": "[]",
    "a text": '"name"',
    "deep": "[" * 100_000,
    "twice": '{"name": "a", "name": "b"}',
    "no UTF-8": "\udcff",
    "a huge number": "9" * 5000,
}
CHANGES: dict[str, dict[str, Any]] = {
    "null for a text": {"name": None},
    "a number as a text": {"count": "1"},
    "a boolean for a number": {"count": True},
    "a fraction for an integer": {"count": 1.5},
    "null for a list": {"pairs": None},
    "an object for a list": {"pairs": {}},
    "a pair of one": {"pairs": [[1]]},
    "a number beyond float": {"pairs": [[1, 10**400]]},
    "a list for an object": {"inner": []},
    "nothing for an object": {"inner": {}},
    "an unknown field": {"x": 1},
}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_record_is_read_with_its_types(tmp_path: Path) -> None:
    path = write(tmp_path / "record.json", json.dumps(GOOD))
    assert json_files.read(Record, path) == Record("a", 1, ((1, 2.0), (3, 0.5)), Inner(None))


@pytest.mark.parametrize(
    "text", [*BAD.values(), *(json.dumps({**GOOD, **each}) for each in CHANGES.values())]
)
def test_unexpected_structure_is_reported(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "record.json", text)
    with pytest.raises(UvlpError) as caught:
        json_files.read(Record, path)
    assert caught.value.got == str(path)
    assert caught.value.what.startswith("a file of an artifact is damaged: ")
    assert len(str(caught.value)) < 600


def test_damaged_line_is_reported_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", f"{json.dumps(GOOD)}\n{{}}\n")
    with pytest.raises(UvlpError) as caught:
        json_files.read_rows(Record, path)
    assert caught.value.what == "a file of an artifact is damaged, line 2: missing field name"


def test_table_files_with_any_content_are_refused(tmp_path: Path) -> None:
    tables.write(tmp_path, TABLE, texts(TABLE))
    assert tables.read(tmp_path) == TABLE
    complete = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    shapes = [*BAD.values(), *(json.dumps({**complete, name: 7}) for name in complete if name != "schema")]
    shapes += [
        json.dumps({**complete, "cells": [{**complete["cells"][0], name: []}]}) for name in ("best", "title")
    ]
    for text in shapes:
        write(tmp_path / "table.json", text)
        with pytest.raises(UvlpError):
            tables.read(tmp_path)


@pytest.mark.parametrize(
    "text", [*BAD.values(), "{}", '{"files": []}', '{"files": {"a": 1}}', '{"files": null}']
)
def test_manifest_with_unexpected_structure_is_refused(text: str, tmp_path: Path) -> None:
    write(tmp_path / MANIFEST, text)
    with pytest.raises(ValueError):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", [*BAD.values(), '{"done": "3"}', '{"x": 1}'])
def test_damaged_marks_of_an_interrupted_run_are_made_again(text: str, tmp_path: Path) -> None:
    messages: list[str] = []
    plan = Plan(items=2, batch=1, size=1, device="cpu", dtype="float32")
    for name in (PLAN, "00000000"):
        (tmp_path / "parts" / name).mkdir(parents=True)
        write(tmp_path / "parts" / name / MARK, text)
    parts = Parts(tmp_path, "key", messages.append)
    assert parts.begin(plan) == plan and parts.missing(plan, Share()) == plan.parts(Share())
    assert len(messages) == 1


def test_damaged_table_does_not_hide_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_table(tmp_path, "good")
    bad, _ = put_table(tmp_path, "bad", profile="small")
    write(bad / "table.json", "[]")
    monkeypatch.setattr(sys, "argv", ["uvlp", "list", "tables", "--store", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        app.main()
    output = capsys.readouterr()
    assert not end.value.code
    names = [line.split()[0] for line in output.out.splitlines()]
    assert "good" in names and "bad" not in names
    assert bad.name in output.err and "damaged" in output.err
