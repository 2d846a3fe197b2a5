"""`uvlp baseline`: list, fetch, and images of published code from import to a row of a table."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.exchange.test_checkouts import baseline, git  # noqa: F401 - a fixture
from uvlp.artifacts.task import read_manifest
from uvlp.cli import app
from uvlp.exchange import baselines
from uvlp.exchange.baselines import Baseline

CLASSES = ("ant", "bee", "cow")
Call = Callable[..., tuple[int, str, str]]


def draw(folder: Path, count: int, seed: int) -> None:
    """Write images of the three classes, a bar whose position and colour say which."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        generator = np.random.default_rng([seed, label])
        for index in range(count):
            pixels = generator.integers(0, 80, (32, 32, 3), dtype=np.uint8)
            pixels[8 * label : 8 * label + 12, :, label] += 150
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A dataset, and what two seeds of some published code wrote."""
    draw(tmp_path / "data" / "train", 6, 0)
    draw(tmp_path / "data" / "val", 5, 1)
    for seed in (0, 1):
        draw(tmp_path / f"made{seed}", 2, 2 + seed)
    return tmp_path


@pytest.fixture
def call(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(place)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return run


def import_both(call: Call, *options: str) -> dict[str, Any]:
    words = ("baseline", "import", "vlcp", "made0", "made1", "--dataset", "folder:data", "--workers", "1")
    code, out, err = call(*words, "--json", *options)
    assert code == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


def facts_of(place: Path, artifacts: dict[str, str]) -> list[dict[str, Any]]:
    return [dict(read_manifest(place / "uvlp_store" / name)["facts"]) for name in artifacts.values()]


def test_the_list_names_repositories_commits_and_reasons(call: Call) -> None:
    code, out, _ = call("baseline", "list")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0 and "793d4971fd81" in lines["vlcp"] and "licence: none" in lines["vlcp"]
    assert "not pinned" in lines["lgd"]
    assert json.loads(call("baseline", "list", "--json")[1])["d4m"]["licence"] == "BSD-2-Clause"


def test_a_repository_is_fetched_to_the_data_folder_or_another(
    call: Call,
    place: Path,
    baseline: Baseline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baselines, "FILE", place / "baselines.toml")
    text = f'[mine]\ntitle = "Mine"\nrepository = "{baseline.repository}"\ncommit = "{baseline.commit}"\n'
    baselines.FILE.write_text(text, encoding="utf-8")
    monkeypatch.setenv("UVLP_DATA", str(place / "all"))
    code, out, err = call("baseline", "fetch", "mine")
    assert code == 0, err
    assert str(place / "all" / "baselines" / "mine") in out and "licence: unknown" in out
    assert git(place / "all" / "baselines" / "mine", "rev-parse", "HEAD") == baseline.commit
    assert call("baseline", "fetch", "mine", "--to", "other")[0] == 0 and (place / "other").is_dir()
    assert call("baseline", "fetch", "mine", "--to", "other")[0] == 2
    assert call("baseline", "fetch", "mime")[0] == 2


@pytest.mark.slow
def test_an_import_stands_in_a_table_with_its_source(call: Call, place: Path) -> None:
    """The seeds are one row; the images are copied once, and the folders are not needed again."""
    made = import_both(call)["artifacts"]
    pin = baselines.pinned("vlcp")
    source = {"name": "vlcp", "repository": pin.repository, "commit": pin.commit}
    facts = facts_of(place, made)
    assert [(each["baseline"], each["ipc"]) for each in facts] == [(source, 2)] * 2
    assert len({each["content"] for each in facts}) == 2
    for seed in (0, 1):
        shutil.rmtree(place / f"made{seed}")
    words = ("evaluate", "baseline:vlcp", "--dataset", "folder:data", "--profile", "nano", "--repeats", "1")
    code, out, err = call(*words, "--workers", "1", "--json")
    assert code == 0, err
    answer = json.loads(out)
    row, random = answer["table"]["cells"]
    assert (row["title"], row["method"]) == ("VLCP (published code)", "baseline:vlcp")
    assert len(row["best_pct"]) == len(random["best_pct"]) == 2
    assert set(made.values()) < set(answer["artifacts"].values())
    assert (
        f"VLCP (published code): images of {pin.repository} at commit {pin.commit}"
        in answer["table"]["notes"]
    )
    code, out, err = call("verify", "--store", "uvlp_store")
    assert code == 0, out + err


@pytest.mark.slow
def test_importing_again_replaces_the_row(call: Call, place: Path) -> None:
    first = import_both(call)["artifacts"]
    assert import_both(call)["made"] == 0
    draw(place / "made2", 2, 9)
    call("baseline", "import", "vlcp", "made2", "--dataset", "folder:data", "--workers", "1")
    (record,) = (place / "uvlp_store" / "imported").iterdir()
    assert str(place / "made2") in record.read_text(encoding="utf-8")
    assert all((place / "uvlp_store" / name).is_dir() for name in first.values())


@pytest.mark.slow
def test_an_import_of_several_ipc_needs_a_choice(call: Call, place: Path) -> None:
    import_both(call)
    import_both(call, "--ipc", "1")
    evaluate = ("evaluate", "baseline:vlcp", "--dataset", "folder:data", "--profile", "nano", "--dry-run")
    code, _, err = call(*evaluate)
    assert code == 2 and "1, 2" in err and "--ipc" in err
    assert call(*evaluate, "--ipc", "1")[0] == 0
    code, _, err = call(*evaluate, "--ipc", "3")
    assert code == 2 and "IPC 1" in err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("import", "vlpc", "made0", "--dataset", "folder:data"), "'vlcp'"),
        (("import", "lgd", "made0", "--dataset", "folder:data"), "not pinned"),
        (("import", "vlcp", "mode0", "--dataset", "folder:data"), "mode0"),
        (("import", "vlcp", "made0", "made0", "--dataset", "folder:data"), "the same folder"),
        (("import", "vlcp", "made0", "--dataset", "folder:dota"), "dota"),
        (("import", "vlcp", "--dataset", "folder:data"), "FOLDER"),
    ],
)
def test_a_wrong_import_is_refused(call: Call, place: Path, words: tuple[str, ...], part: str) -> None:
    code, _, err = call("baseline", *words)
    assert (code, err.count("\n")) == (2, 1) and part in err
    assert not (place / "uvlp_store" / "imported").exists()


def test_nothing_imported_is_refused(call: Call, place: Path) -> None:
    code, _, err = call("evaluate", "baseline:vlcp", "--dataset", "folder:data")
    assert code == 2 and "uvlp baseline import vlcp" in err
    code, _, err = call("evaluate", "baseline:vlpc", "--dataset", "folder:data")
    assert code == 2 and "'vlcp'" in err


def test_a_damaged_record_is_refused(call: Call, place: Path) -> None:
    import_both(call)
    (record,) = (place / "uvlp_store" / "imported").iterdir()
    record.write_text(record.read_text(encoding="utf-8").replace("made0", "mode0"), encoding="utf-8")
    code, _, err = call("evaluate", "baseline:vlcp", "--dataset", "folder:data", "--dry-run")
    assert code == 2 and str(record) in err


def test_a_folder_of_that_name_is_a_folder(call: Call, place: Path) -> None:
    (place / "made0").rename(place / "baseline:vlcp")
    words = ("evaluate", "baseline:vlcp", "--dataset", "folder:data", "--profile", "nano", "--dry-run")
    assert call(*words)[0] == 0
