"""What is not the store's own is never deleted, and a store begins nowhere unsaid."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvlp.artifacts.checks.store_mark import FOLDERS, MARK
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, Task
from uvlp.cli import app

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Run the command line in this process, in the folder `here`: exit code, standard error."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("UVLP_STORE", raising=False)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def importing(tmp_path: Path) -> list[str]:
    """The words of a command that writes into a store: import captions of a small folder."""
    for split in ("train", "val"):
        (tmp_path / "set" / split / "cat").mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / split / "cat" / "1.png")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"file_name": "cat/1.png", "text": "a cat"}) + "\n")
    return ["captions", "import", str(rows), "--dataset", f"folder:{tmp_path / 'set'}"]


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_the_sweep_leaves_what_it_did_not_make(call: Call, importing: list[str]) -> None:
    mine = {".tmp/my_thesis/chapter.tex", ".tmp/notes", ".tmp/weights-of-mine/model.bin"}
    left = ".tmp/weights-0123456789abcdef/half.bin"
    for name in (*mine, left):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("mine")
    code, err = call(*importing, "--store", ".")
    assert code == 0 and "a store begins in" in err and ".tmp" in err
    assert mine <= tree(Path()) and left not in tree(Path())
    code, err = call(*importing, "--store", ".")
    assert code == 0 and "a store begins" not in err, "said once"
    assert mine <= tree(Path())


def test_nothing_is_swept_where_there_is_no_mark(tmp_path: Path) -> None:
    left = tmp_path / ".tmp" / "weights-0123456789abcdef"
    left.mkdir(parents=True)
    Store(tmp_path).sweep()
    assert left.is_dir()


@pytest.mark.parametrize("name", FOLDERS)
def test_a_store_is_not_mixed_with_other_files_under_its_names(
    call: Call, importing: list[str], name: str
) -> None:
    (Path(name) / "mine").mkdir(parents=True)
    before = tree(Path())
    code, err = call(*importing, "--store", ".")
    assert code == 2 and "mixed with files that are not its own" in err and name in err
    assert tree(Path()) == before


def test_an_empty_variable_is_unset(
    call: Call, importing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UVLP_STORE", "UVLP_DATA", "HF_HOME"):
        monkeypatch.setenv(name, "")
    assert call(*importing)[0] == 0
    assert {path.name for path in Path().iterdir()} == {"uvlp_store"}


@pytest.mark.parametrize(
    "words",
    [
        ["list", "tables", "--store", ""],
        ["reproduce", "digits", "10", "--data", " "],
        ["reproduce", "digits", "10", "--finetuned-model", ""],
        ["fetch", "imagenette", "--data", ""],
        ["teacher", "digits", "conv3", "--checkpoint", ""],
        ["captions", "check", "--dataset", "digits", "--store", ""],
        ["captions", "import", "x", "--dataset", "digits", "--questions", ""],
        ["captions", "import", "", "--dataset", "digits"],
        ["evaluate", "", "--dataset", "digits"],
        ["reproduce", "folder:", "10", "--profile", "nano"],
        ["fetch", "diffusion", "--set", "models.diffusion="],
        ["fetch", "clip", "--set", "models.clip=local-dir:"],
        ["teacher", "digits", "conv3", "--set", "teacher.source="],
    ],
    ids=" ".join,
)
def test_an_empty_path_is_refused_and_makes_nothing(call: Call, words: list[str]) -> None:
    code, err = call(*words)
    assert code == 2, err
    assert len([line for line in err.splitlines() if line.startswith("uvlp:")]) == 1
    assert not [name for name in tree(Path()) if not name.startswith("uvlp_store/")]


def test_a_store_of_a_later_version_is_refused(call: Call, importing: list[str]) -> None:
    Path("s").mkdir()
    Path("s", MARK).write_text('{"schema": 2}')
    code, err = call(*importing, "--store", "s")
    assert code == 2 and "later version" in err and tree(Path("s")) == {MARK}


def finished(store: Store, task: Task, text: str = "made") -> Path:
    store.prepare()
    with store.making(task, print) as folder:
        assert folder is not None
        (folder / "file").write_text(text)
        store.commit(task, folder, {})
    return store.folder(task)


TASK = Task(kind="weights", stage="finetune", plugin="x")


@pytest.mark.parametrize("content", [b"", b"null", b"[" * 100_000, b'{"schema": "x"}', bytes(range(256))])
def test_a_mark_that_says_nothing_still_marks_a_store(tmp_path: Path, content: bytes) -> None:
    folder = finished(Store(tmp_path), TASK)
    (tmp_path / MARK).write_bytes(content)
    Store(tmp_path).begin()
    assert (tmp_path / MARK).read_bytes() == content and (folder / MANIFEST).is_file()


def test_a_store_without_a_mark_is_marked_and_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(Store(tmp_path), TASK)
    (tmp_path / MARK).unlink()
    for said in (1, 0):
        Store(tmp_path).begin()
        assert capsys.readouterr().err.count("earlier version") == said
    assert (tmp_path / MARK).is_file()


def test_rebuilding_keeps_what_the_manifest_does_not_list(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = finished(store, TASK)
    (folder / "notes" / "mine.txt").parent.mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    aside = store.remove(TASK)
    assert aside is not None and tree(aside) == {"notes/mine.txt"}
    assert not folder.exists() and list((tmp_path / ".tmp").iterdir()) == []


def test_without_a_readable_manifest_everything_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = finished(store, TASK)
    (folder / MANIFEST).write_text("")
    aside = store.remove(TASK)
    assert aside is not None and tree(aside) == {"file", MANIFEST}
    assert finished(store, TASK) == folder


def test_what_stands_in_the_place_of_an_artifact_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    for number in (1, 2):
        store.folder(TASK).mkdir(parents=True)
        (store.folder(TASK) / "mine").write_text(f"mine {number}")
        finished(store, TASK)
        assert f"{TASK.key}-{number}" in capsys.readouterr().out
        store.remove(TASK)
    kept = [path.read_text() for path in sorted((tmp_path / "set_aside").rglob("mine"))]
    assert kept == ["mine 1", "mine 2"]


def test_the_home_of_nobody_is_no_store(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.setenv("UVLP_STORE", "~nobody-has-this-name/store")
    code, err = call("list", "tables")
    assert code == 2 and "~nobody-has-this-name" in err


@pytest.mark.parametrize("place", ["train", "train/cat", "train/uvlp_store", "val/cat/deep/store"])
def test_a_store_among_the_images_of_a_dataset_is_refused(
    call: Call, importing: list[str], tmp_path: Path, place: str
) -> None:
    before = tree(tmp_path)
    code, err = call(*importing, "--store", str(tmp_path / "set" / place))
    assert code == 2 and "the store is among the images of the dataset" in err
    words = ["reproduce", importing[-1], "1", "--profile", "nano", "--store", str(tmp_path / "set" / place)]
    code, err = call(*words)
    assert code == 2 and "the store is among the images of the dataset" in err
    assert tree(tmp_path) == before


def test_another_store_among_the_images_is_refused(call: Call, importing: list[str], tmp_path: Path) -> None:
    other = tmp_path / "set" / "train" / "cat" / "results"
    other.mkdir()
    (other / MARK).write_text('{"schema": 1}')
    code, err = call(*importing)
    assert code == 2 and "a store is inside a dataset's image folders" in err and str(other) in err


def test_a_store_beside_the_images_is_none_of_them(
    call: Call, importing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "set")
    for _ in range(2):
        assert call(*importing[:-1], "folder:.")[0] == 0


def test_a_dataset_among_artifacts_is_refused(call: Call, importing: list[str], tmp_path: Path) -> None:
    Store(tmp_path / "store").prepare()
    inside = tmp_path / "store" / ".tmp" / "set"
    (tmp_path / "set").rename(inside)
    before = tree(inside)
    code, err = call(*importing[:-1], f"folder:{inside}", "--store", str(tmp_path / "store"))
    assert code == 2 and "among the artifacts of the store" in err and tree(inside) == before
