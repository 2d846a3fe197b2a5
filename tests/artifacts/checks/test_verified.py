"""Stored artifacts are verified before they are printed: folder, hashes and consistency."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.stored_tables import put_table, score
from uvlp.artifacts import scores, tables
from uvlp.artifacts.tables import Cell, Summary
from uvlp.artifacts.task import MANIFEST
from uvlp.cli import app, run
from uvlp.core.hashing import CLOCK_TICK_NS
from uvlp.tables import published

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run the command line in this process on the store: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments, "--store", str(tmp_path)])
        with pytest.raises(SystemExit) as end:
            app.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def update_hashes(folder: Path) -> None:
    """Write the hashes of the current files into the manifest."""
    files = json.loads((folder / MANIFEST).read_text())["files"]
    edit(
        folder / MANIFEST,
        files={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    )


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def to_100_percent(table: Path, score: Path) -> None:
    edit(score / scores.FILE, best_pct=100.0, last_pct=100.0)
    update_hashes(score)


def to_another_score(table: Path, folder: Path) -> None:
    scores.write(folder, score(99))
    update_hashes(folder)


def exchanged(table: Path, score: Path) -> None:
    other = next(folder for folder in score.parent.iterdir() if folder != score)
    os.rename(score, score.with_name("x"))
    os.rename(other, score)
    os.rename(score.with_name("x"), other)


def exchanged_files(table: Path, score: Path) -> None:
    other = next(folder for folder in score.parent.iterdir() if folder != score)
    shutil.copy(other / scores.FILE, score / scores.FILE)


DAMAGE: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "text": (lambda table, _: (table / "table.md").write_text("| UVLP | 99.9 |"), "table.md"),
    "byte": (lambda table, _: flip(table / "table.json"), "table.json"),
    "csv": (lambda table, _: flip(table / "table.csv"), "table.csv"),
    "missing file": (lambda table, _: (table / "table.tex").unlink(), "table.tex"),
    "empty manifest": (lambda table, _: (table / MANIFEST).write_text(""), MANIFEST),
    "manifest that is a list": (lambda table, _: (table / MANIFEST).write_text("[1]"), MANIFEST),
    "no files": (lambda table, _: edit(table / MANIFEST, files={}), "it lists no files"),
    "fewer files": (lambda table, _: edit(table / MANIFEST, files={"table.md": "0" * 64}), "table.json"),
    "other facts": (lambda table, _: edit(table / MANIFEST, dataset="another"), "its key does not match"),
    "other key": (lambda table, _: edit(table / MANIFEST, key="0" * 16), "it belongs to"),
    "other kind": (lambda table, _: edit(table / MANIFEST, kind="scores"), "it belongs to"),
    "file outside": (lambda table, _: edit(table / MANIFEST, files={"../x": "0" * 64}), MANIFEST),
    "score of 100 %": (to_100_percent, "its bits give"),
    "another score": (to_another_score, "changed after the table was built"),
    "a byte of a score": (lambda _, score: flip(score / scores.FILE), scores.FILE),
    "exchanged scores": (exchanged, "it belongs to"),
    "exchanged files of scores": (exchanged_files, scores.FILE),
}


@pytest.mark.parametrize(
    ("what", "known"), [*((what, False) for what in DAMAGE), ("byte", True), ("a byte of a score", True)]
)
def test_damaged_table_is_reported_and_not_printed(
    call: Call, tmp_path: Path, what: str, known: bool
) -> None:
    table, score_folders = put_table(tmp_path)
    if known:
        time.sleep(3 * CLOCK_TICK_NS / 1e9)
        assert call("table", "digits-ipc10")[0] == 0
    damage, message = DAMAGE[what]
    damage(table, score_folders[0])
    for arguments, expected in ((("table", "digits-ipc10"), 2), (("list", "tables"), 0)):
        code, out, err = call(*arguments)
        assert code == expected and table.name in err and message in err and "--force" in err, err
        assert len(err.splitlines()) == 1 and "caption of" not in out


def test_intact_tables_are_still_shown(call: Call, tmp_path: Path) -> None:
    bad, _ = put_table(tmp_path)
    put_table(tmp_path, "good-ipc10", profile="small")
    (bad / MANIFEST).write_text("{")
    code, out, err = call("list", "tables", "--json")
    shown = [name for name in json.loads(out) if name not in published.TABLES]
    assert code == 0 and shown == ["good-ipc10"] and bad.name in err
    code, out, err = call("table", "good-ipc10")
    assert code == 0 and "caption of good-ipc10" in out and not err


def test_numbers_that_contradict_the_scores_are_reported(call: Call, tmp_path: Path) -> None:
    table, _ = put_table(tmp_path)
    content = json.loads((table / "table.json").read_text())
    content["cells"][0]["best"]["mean_pct"] = 99.0
    (table / "table.json").write_text(json.dumps(content))
    update_hashes(table)
    code, _, err = call("table", "digits-ipc10")
    assert code == 2 and "does not agree with its trainings" in err


def test_table_of_an_earlier_version_is_reported_once(call: Call, tmp_path: Path) -> None:
    table, score_folders = put_table(tmp_path)
    content = json.loads((table / MANIFEST).read_text())
    assert len(content.pop("inputs_sha256")) == 4
    (table / MANIFEST).write_text(json.dumps(content))
    time.sleep(3 * CLOCK_TICK_NS / 1e9)
    reports = [call("table", "digits-ipc10")[2].count("earlier version") for _ in range(2)]
    assert reports == [1, 0]
    to_another_score(table, score_folders[0])
    (tmp_path / ".verified.json").unlink()
    code, _, err = call("table", "digits-ipc10")
    assert code == 2 and score_folders[0].name in err


def test_table_is_printed_as_in_its_file(call: Call, tmp_path: Path) -> None:
    table, _ = put_table(tmp_path)
    forms = {
        "table.md": ("markdown", "--full"),
        "table.tex": ("latex", "--part", "all"),
        "table.csv": ("csv",),
    }
    for name, form in forms.items():
        assert call("table", "digits-ipc10", "--format", *form)[1] == (table / name).read_text()


def test_a_key_is_taken_wherever_a_name_is(call: Call, tmp_path: Path) -> None:
    folders = [put_table(tmp_path)[0], put_table(tmp_path, methods=("random", "vlcp"))[0]]
    for folder, method in zip(folders, ("uvlp", "vlcp"), strict=True):
        for key in (folder.name, folder.name[:6], f"tables/{folder.name}"):
            code, out, _ = call("table", key)
            assert code == 0 and f"| {method} " in out


def test_tables_of_the_same_name_are_listed_with_their_differences(call: Call, tmp_path: Path) -> None:
    folders = [put_table(tmp_path)[0], put_table(tmp_path, methods=("random", "vlcp"))[0]]
    code, out, err = call("table", "digits-ipc10")
    assert code == 2 and not out and len(err.splitlines()) == 1
    assert "random, uvlp" in err and "random, vlcp" in err
    names = [f"digits-ipc10@{folder.name[:8]}" for folder in folders]
    for name, method in zip(names, ("uvlp", "vlcp"), strict=True):
        assert name in err
        for typed in (name, name[:-2]):
            code, out, _ = call("table", typed)
            assert code == 0 and f"| {method} " in out
    assert set(json.loads(call("list", "tables", "--json")[1])) == {*names, *published.TABLES}
    os.utime(folders[0] / MANIFEST)
    assert call("table", "digits-ipc10")[0] == 2, "times do not matter"


def test_a_table_costs_one_look_at_each_file_of_its_own_scores(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 100,000 scores in a store, seconds depend on it."""
    _, folders = put_table(tmp_path)
    put_table(tmp_path, "other-ipc10", profile="small")
    time.sleep(3 * CLOCK_TICK_NS / 1e9)
    for name in ("digits-ipc10", "other-ipc10"):
        call("table", name)
    looked_at: list[str] = []
    plain = os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        looked_at.append(str(path))
        return plain(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert call("table", "digits-ipc10")[0] == 0
    wanted = [str(folder / file) for folder in folders for file in (MANIFEST, scores.FILE)]
    assert sorted(path for path in looked_at if "/scores/" in path) == sorted(wanted)


def test_a_score_that_is_no_file_any_more_is_reported(call: Call, tmp_path: Path) -> None:
    table, folders = put_table(tmp_path)
    time.sleep(3 * CLOCK_TICK_NS / 1e9)
    assert call("table", "digits-ipc10")[0] == 0
    (folders[0] / scores.FILE).unlink()
    (folders[0] / scores.FILE).mkdir()
    code, _, err = call("table", "digits-ipc10")
    assert code == 2 and folders[0].name in err and scores.FILE in err
    shutil.rmtree(folders[0])
    assert call("table", "digits-ipc10")[0] == 0, "scores that were removed are not compared"
    assert table.is_dir()


def test_damaged_cache_does_not_hide_damage(call: Call, tmp_path: Path) -> None:
    _, score_folders = put_table(tmp_path)
    time.sleep(3 * CLOCK_TICK_NS / 1e9)
    expected = call("table", "digits-ipc10")[1]
    cache = (tmp_path / ".verified.json").read_bytes()
    for damage in (b"", b"{}", cache[:-3], cache.replace(b"scores", b"Scores", 1)):
        (tmp_path / ".verified.json").write_bytes(damage)
        assert call("table", "digits-ipc10") == (0, expected, "")
    flip(score_folders[0] / scores.FILE)
    (tmp_path / ".verified.json").write_bytes(cache)
    assert call("table", "digits-ipc10")[0] == 2


@pytest.mark.parametrize("where", ["trainings", "mean", "scores"])
def test_top5_of_a_table_that_contradicts_its_scores_is_detected(where: str) -> None:
    held = Summary(
        mean_pct=90.0 if where == "mean" else 95.0,
        std_pct=None,
        ddof=0,
        trainings=2,
        low_pct=None,
        high_pct=None,
        basis="",
        binomial_error_points=0.0,
        wilson_low_pct=0.0,
        wilson_high_pct=0.0,
    )
    cell = Cell(
        method="random",
        title="Random",
        network="convnet-3",
        seeds=(0, 0),
        repeats=(1, 2),
        best_pct=(95.0, 95.0),
        last_pct=(95.0, 95.0),
        top5_best_pct=(94.0, 96.0) if where == "scores" else (95.0, 95.0),
        top5_last_pct=() if where == "trainings" else (95.0, 95.0),
        best=replace(held, mean_pct=95.0),
        last=replace(held, mean_pct=95.0),
        top5_best=held,
        top5_last=held,
        validation_set="digits",
        validation_images=20,
        scores=("scores/one", "scores/two"),
    )
    of_95 = replace(
        score(0), best_pct=95.0, last_pct=95.0, top5_best_pct=95.0, top5_last_pct=95.0, validation_images=20
    )
    assert "top5" in tables.contradiction(cell, lambda _: of_95)


NANO = "profile nano: two steps everywhere, the numbers mean nothing"


@pytest.mark.parametrize(
    "setting", ["note=", "note= ", "note=a\nb", "models_note=", "protocol_notes=", "protocol_notes.minimax=x"]
)
def test_notes_of_a_recipe_cannot_be_removed(call: Call, setting: str) -> None:
    code, _, err = call("reproduce", "digits", "1", "--profile", "nano", "--print-config", "--set", setting)
    assert code == 2 and len(err.splitlines()) == 1 and "note" in err


def test_note_of_the_user_is_added(call: Call) -> None:
    arguments = ("reproduce", "digits", "1", "--profile", "nano", "--print-config", "--json")
    code, out, _ = call(*arguments, "--set", "note=run on Sunday", "--set", "note=again")
    assert code == 0 and json.loads(out)["note"] == f"{NANO}; run on Sunday; again"


def test_classes_of_the_same_name_are_reported_and_noted_in_the_table(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "val"):
        for number, name in enumerate(("red_fox", "red fox", "dog")):
            (tmp_path / "set" / split / name).mkdir(parents=True)
            pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / split / name / "1.png")
    plans: list[Any] = []
    monkeypatch.setattr(run, "_make", lambda plan, *_: plans.append(plan))
    code, _, err = call("reproduce", f"folder:{tmp_path / 'set'}", "1", "--profile", "nano")
    (line,) = [line for line in err.splitlines() if "have the name" in line]
    assert code == 0 and "'red fox'" in line and "(red fox, red_fox)" in line
    assert line.partition(": ")[2] in " ".join(plans[0].goal.facts["notes"])
