"""Orders: JSON that gives the same tasks again on a node, and makes nothing but declared dataclasses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.launchers.chains import MakeNumbers, fan, installed, task
from tests.other_packages import importable
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task, chain
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import read_checked, write_checked
from uvlp.core.scheduling.cards import Asked
from uvlp.core.scheduling.rule import Needs
from uvlp.launchers.jobs import order, outcome
from uvlp.launchers.jobs.encoding import Decoder, Encoder
from uvlp.launchers.jobs.on_node import node
from uvlp.launchers.jobs.order import Limits
from uvlp.pipeline import names
from uvlp.pipeline.making.here import MakeHere
from uvlp.pipeline.planning.pieces import Divided, Piece
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.pipeline.runs.tracking import Tracking
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import CaptionSettings

LIMITS = Limits(minutes=60, timeouts=3, masked=False, staged=False)


@pytest.fixture(autouse=True)
def package(tmp_path: Path) -> Iterator[None]:
    installed(tmp_path / "package")
    with importable(tmp_path / "package"):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "launched" / "run"


def written(folder: Path, tasks: list[Task], wrong: tuple[int, ...] = ()) -> str:
    make = MakeNumbers(folder.parent.parent, 0.0, wrong)
    return order.write(folder, {"n": tasks}, make, None, LIMITS)


def test_tasks_are_the_same_again() -> None:
    spec = DatasetSpec(name="folder", argument="/data/ä b\udcff")
    first = replace(task(1), settings=CaptionSettings(captioner="strokes"), dataset_spec=spec)
    second = replace(task(2, "embed", {"a": first, "b": first}), facts={"models": {"x": (1, 2.5)}, "y": None})
    tracking = Tracking(name="wandb", offline=True, group="digits-ipc1")
    needs = {"key": Needs(cards=1)}
    make = MakeHere(Path("/store"), Asked(workers=2), needs, "uvlp x", {"a": [True]}, tracking=tracking)
    values = (second, Piece(second, 0, 2), Divided(second, 2), make)
    encoder = Encoder()
    text = json.dumps([encoder.encode(values), encoder.rows])
    value, rows = json.loads(text)
    found = Decoder(rows).decode(value)
    assert found == values and found[0].key == second.key and found[1].task is found[0]
    assert text.count("CaptionSettings") == 1, "a shared input is written once"


def test_a_job_is_carried_out(folder: Path) -> None:
    tasks = fan(2)
    file = written(folder, tasks)
    make, jobs, workers = order.read(folder, file).work("n")
    assert [job.key for job in jobs] == [one.key for one in tasks] and workers is None
    assert node.main(folder, file, "n") == 0
    assert (folder.parent.parent / tasks[-1].name / "made.txt").is_file()


def test_the_process_on_a_node_reports_a_mistake(folder: Path) -> None:
    assert node.main(folder, written(folder, [task(1)], wrong=(1,)), "n") == 1
    found = outcome.read(folder, "n")
    assert found is not None and (found.state, found.got) == (outcome.FAILED, 1)


def test_a_node_with_another_source_refuses_the_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(folder, [task(1)])
    monkeypatch.setattr(order, "source_sha256", lambda: "another")
    assert node.main(folder, file, "n") == 1
    found = outcome.read(folder, "n")
    assert found is not None and found.state == outcome.FAILED and "source of uvlp" in found.what


def refused(folder: Path, file: str) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        order.read(folder, file).work("n")
    assert "\n" not in str(caught.value)
    return caught.value


def changed(folder: Path, file: str, **fields: Any) -> UvlpError:
    """Return the error for an order with other fields, and a hash that matches."""
    content = read_checked(folder / file)
    write_checked(folder / file, content | fields)
    error = refused(folder, file)
    write_checked(folder / file, content)
    return error


def test_an_order_that_was_damaged(folder: Path) -> None:
    file = written(folder, [task(1)])
    text = (folder / file).read_text(encoding="utf-8")
    for damage in (text[:-20], text.replace('"number"', '"numbre"'), ""):
        (folder / file).write_text(damage, encoding="utf-8")
        assert "hash differs" in refused(folder, file).what
    (folder / file).unlink()
    assert "missing" in refused(folder, file).what


def test_an_order_that_was_changed(folder: Path) -> None:
    file = written(folder, [task(1)])
    rows = read_checked(folder / file)["rows"]
    assert "format" in changed(folder, file, format=0).what
    assert "workers" in changed(folder, file, workers="many").what
    for name in ("os:system", "subprocess:Popen", "uvlp.core.hashing:digest", "uvlp.nowhere:X", "x"):
        assert "class" in changed(folder, file, rows=[row | {"class": name} for row in rows]).what
    for field, value, words in (("title", 7, "title of Task has the wrong type"), ("stage", "x", "others")):
        task_row = rows[0] | {"fields": rows[0]["fields"] | {field: value}}
        assert words in changed(folder, file, rows=[task_row, *rows[1:]]).what
    assert "not there" in changed(folder, file, make={"object": 10}).what
    assert "others" in changed(folder, file, make="text").what


def test_an_order_for_another_store(folder: Path, tmp_path: Path) -> None:
    make = MakeNumbers(tmp_path / "elsewhere", 0.0, ())
    error = refused(folder, order.write(folder, {"n": [task(1)]}, make, None, LIMITS))
    assert error.got == str(tmp_path / "elsewhere")


def test_a_setting_that_cannot_be_written(folder: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        written(folder, [replace(task(1), origins={"a": {1, 2}})])  # type: ignore[dict-item]
    assert caught.value.got == {1, 2}


@dataclass(frozen=True)
class Node:
    """A graph whose paths from end to end double with every step."""

    before: tuple[Node, ...] = ()


def test_a_graph_is_written_in_linear_time() -> None:
    last = Node()
    for _ in range(60):
        last = Node((last, last))
    encoder = Encoder()
    encoder.encode(last)
    assert len(encoder.rows) == 61


@pytest.mark.parametrize("protocol", ["minimax", "rded"])
def test_plans_of_all_methods_survive(tmp_path: Path, protocol: str) -> None:
    request = Request(dataset="digits", ipc=1, methods=["all"], protocol=protocol, profile="nano")
    every_task = prepare(names.check(resolve(request)), Store(tmp_path), "tabulate").tasks
    encoder = Encoder()
    values = json.loads(json.dumps([encoder.encode(list(every_task)), encoder.rows]))
    found = Decoder(values[1]).decode(values[0])
    assert [one.key for one in found] == [one.key for one in every_task]
    assert [repr(one.settings) for one in found] == [repr(one.settings) for one in every_task]
    assert [one.title for one in chain(found[-1])] == [one.title for one in chain(every_task[-1])]
