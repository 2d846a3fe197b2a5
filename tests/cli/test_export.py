"""`uvlp export`: from a finished run to a folder, to a hub, and back to the same score bits."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fake_hub
from tests.cli.test_evaluate import CLASSES, draw
from tests.exchange.sets import put_score, put_set
from tests.fake_hub import Hub
from tests.stored_tables import put_table
from uvlp.cli import app

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with fake_hub.serve() as served:
        served.uploads = tmp_path / "hub"
        fake_hub.live_in(tmp_path / "home", monkeypatch, served.address)
        monkeypatch.setenv("HF_TOKEN", "hf_of_tests")
        yield served


def bits(store: Path, images: str = "") -> dict[tuple[str, int, int], Any]:
    """Curve and bits of every score, or of those of some images."""
    found = {}
    for folder in (store / "scores").iterdir():
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        facts = manifest["facts"]
        if not images or manifest["inputs"]["distilled"] == images:
            score = json.loads((folder / "score.json").read_text(encoding="utf-8"))
            found[facts["network"], facts["seed"], facts["repeat"]] = [score, manifest["settings"]]
    return found


def one_line(answer: tuple[int, str, str]) -> str:
    code, _, err = answer
    (line,) = [each for each in err.splitlines() if each.startswith("uvlp:")]
    assert code == 2, line
    return line


@pytest.mark.slow
def test_a_published_set_gives_the_same_bits(run: Run, hub: Hub, tmp_path: Path) -> None:
    for split, count, seed in (("train", 6, 0), ("val", 5, 1)):
        for label, name in enumerate(CLASSES):
            draw(tmp_path / "data" / split / name, label, count, seed)
    data, store, again = f"folder:{tmp_path}/data", str(tmp_path / "store"), str(tmp_path / "again")
    options = ("--method", "random", "--profile", "nano", "--seed", "3", "--set", "evaluate.epochs=3")
    code, _, err = run("reproduce", data, "2", *options, "--store", store, "--workers", "1")
    assert code == 0, err

    out = str(tmp_path / "out")
    code, text, err = run("export", "random", "--out", out, "--push", "me/bugs", "--json", "--store", store)
    assert code == 0, err
    exported = json.loads(text)
    assert exported["address"] == f"hf://me/bugs@{hub.newest['datasets/me/bugs']}"
    before = bits(tmp_path / "store", exported["artifact"].partition("/")[2])
    assert len(before) == 2

    words = shlex.split(exported["evaluate"])[1:]
    assert words[1] == exported["address"]
    words = [word.replace("PATH_OF_THE_DATASET", f"{tmp_path}/data") for word in words]
    code, text, err = run(*words, "--store", again, "--workers", "1", "--json")
    assert code == 0, err
    assert bits(tmp_path / "again") == before
    (cell,) = json.loads(text)["table"]["cells"]
    assert cell["title"] == f"bugs-{exported['address'].rpartition('@')[2][:8]}"

    shutil.rmtree(tmp_path / "again")
    hub.folders.clear()
    code, _, err = run(*words, "--store", again, "--workers", "1", "--offline")
    assert code == 0 and bits(tmp_path / "again") == before, err
    local = [out if word.startswith("hf://") else word for word in words]
    shutil.rmtree(tmp_path / "again")
    code, _, err = run(*local, "--store", again, "--workers", "1")
    assert code == 0 and bits(tmp_path / "again") == before, err

    assert run("export", "--results", "--out", str(tmp_path / "r.tar.gz"), "--store", store)[0] == 0
    shutil.rmtree(tmp_path / "data")
    with tarfile.open(tmp_path / "r.tar.gz") as archive:
        archive.extractall(tmp_path / "elsewhere", filter="data")
    code, text, err = run("verify", "--store", str(tmp_path / "elsewhere" / "uvlp-results"))
    assert code == 0 and "Nothing wrong" in text, text + err


def test_an_export_prints_the_line_that_scores_it(run: Run, tmp_path: Path) -> None:
    store, task = put_set(tmp_path / "store")
    put_score(store, task, 1)
    code, text, _ = run("export", "uvlp", "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store"))
    assert code == 0 and f"6 images in {tmp_path / 'out'}\n" in text
    line = text.splitlines()[-1].partition(": ")[2]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert line.replace(str(tmp_path / "out"), "PATH") in card.splitlines()
    code, text, _ = run("list", "images", "--store", str(tmp_path / "store"))
    assert code == 0 and text.startswith(
        f"uvlp-seed-0@{task.key[:8]}  folder, 2 images per class; 2026-01-01"
    )


def test_wrong_requests_are_one_line(run: Run, tmp_path: Path) -> None:
    put_set(tmp_path / "store")
    put_table(tmp_path / "store")
    options = ("--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"))
    assert "'none'" in one_line(run("export", *options))
    assert "'uvlp dm'" in one_line(run("export", "uvlp", "dm", *options))
    assert "did you mean 'uvlp-seed-0'" in one_line(run("export", "uvlp-seed-9", *options))
    assert "got 'bugs'" in one_line(run("export", "uvlp", "--push", "bugs", *options))
    assert "--push" in one_line(run("export", "--results", "--push", "me/bugs", *options))
    assert ".tar.gz" in one_line(run("export", "--results", *options))
    assert "--out" in one_line(run("export", "uvlp", "--store", str(tmp_path / "store")))
    assert "--out is empty" in one_line(
        run("export", "uvlp", "--store", str(tmp_path / "store"), "--out", "")
    )
    assert not (tmp_path / "out").exists()


def test_a_refused_upload_keeps_the_folder(run: Run, hub: Hub, tmp_path: Path) -> None:
    put_set(tmp_path / "store")
    hub.refuse["datasets/them/bugs"] = 403, ""
    arguments = ("export", "uvlp", "--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"))
    assert "them/bugs, status 403" in one_line(run(*arguments, "--push", "them/bugs"))
    assert (tmp_path / "out" / "SHA256SUMS").is_file()
    hub.refuse.clear()
    code, text, err = run(*arguments, "--push", "them/bugs")
    assert code == 0 and "unchanged" in text and "published as hf://them/bugs@" in text, err


def test_a_wrong_address_is_one_line(run: Run, hub: Hub, tmp_path: Path) -> None:
    options = ("--dataset", "digits", "--store", str(tmp_path / "store"))
    assert "@main" in one_line(run("evaluate", "hf://them/set", *options))
    assert "no such repository" in one_line(run("evaluate", "hf://them/set@main", *options))
    assert "never fetched" in one_line(run("evaluate", "hf://them/set@main", "--offline", *options))
    assert "never fetched" in one_line(run("evaluate", "hf://them/set@main", "--dry-run", *options))
    wrong = run("evaluate", "hf://them/set@main", "--network", "convnte-3", *options)
    assert "convnte-3" in one_line(wrong) and not hub.asked
