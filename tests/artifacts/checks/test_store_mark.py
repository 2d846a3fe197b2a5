"""Files that do not belong to a store are never deleted, and new stores beside other files are reported."""

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

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def importing(tmp_path: Path) -> list[str]:
    """Arguments of a command that writes into a store: import captions of a small folder."""
    for split in ("train", "val"):
        (tmp_path / "set" / split / "cat").mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / split / "cat" / "1.png")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"file_name": "cat/1.png", "text": "a cat"}) + "\n")
    return ["captions", "import", str(rows), "--dataset", f"folder:{tmp_path / 'set'}"]


def tree(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_sweep_keeps_foreign_files(call: Call, importing: list[str]) -> None:
    mine = {".tmp/my_thesis/chapter.tex", ".tmp/notes", ".tmp/weights-of-mine/model.bin"}
    left = ".tmp/weights-0123456789abcdef/half.bin"
    for name in (*mine, left):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("mine")
    code, err = call(*importing, "--store", ".")
    assert code == 0 and "creating a store in" in err and ".tmp" in err
    assert mine <= tree(Path()) and left not in tree(Path())
    code, err = call(*importing, "--store", ".")
    assert code == 0 and "creating a store" not in err, "reported once"
    assert mine <= tree(Path())


def test_nothing_is_swept_without_a_mark(tmp_path: Path) -> None:
    left = tmp_path / ".tmp" / "weights-0123456789abcdef"
    left.mkdir(parents=True)
    Store(tmp_path).sweep()
    assert left.is_dir()


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_with_a_store_name_is_refused(call: Call, importing: list[str], name: str) -> None:
    (Path(name) / "mine").mkdir(parents=True)
    before = tree(Path())
    code, err = call(*importing, "--store", ".")
    assert code == 2 and "mixed with other files" in err and name in err
    assert tree(Path()) == before


def test_empty_variables_are_ignored(
    call: Call, importing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UVLP_STORE", "UVLP_DATA", "HF_HOME"):
        monkeypatch.setenv(name, "")
    assert call(*importing)[0] == 0
    assert {path.name for path in Path().iterdir()} == {"uvlp_store"}


@pytest.mark.parametrize(
    "arguments",
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
def test_empty_path_is_refused(call: Call, arguments: list[str]) -> None:
    code, err = call(*arguments)
    assert code == 2, err
    assert len([line for line in err.splitlines() if line.startswith("uvlp:")]) == 1
    assert not [name for name in tree(Path()) if not name.startswith("uvlp_store/")]


def test_store_of_a_later_version_is_refused(call: Call, importing: list[str]) -> None:
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
def test_invalid_mark_still_marks_a_store(tmp_path: Path, content: bytes) -> None:
    folder = finished(Store(tmp_path), TASK)
    (tmp_path / MARK).write_bytes(content)
    Store(tmp_path).begin()
    assert (tmp_path / MARK).read_bytes() == content and (folder / MANIFEST).is_file()


def test_store_without_a_mark_is_marked_and_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(Store(tmp_path), TASK)
    (tmp_path / MARK).unlink()
    for reports in (1, 0):
        Store(tmp_path).begin()
        assert capsys.readouterr().err.count("earlier version") == reports
    assert (tmp_path / MARK).is_file()


def test_removing_an_artifact_keeps_unlisted_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = finished(store, TASK)
    (folder / "notes" / "mine.txt").parent.mkdir()
    (folder / "notes" / "mine.txt").write_text("mine")
    aside = store.remove(TASK)
    assert aside is not None and tree(aside) == {"notes/mine.txt"}
    assert not folder.exists() and list((tmp_path / ".tmp").iterdir()) == []


def test_removing_without_a_readable_manifest_keeps_all_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = finished(store, TASK)
    (folder / MANIFEST).write_text("")
    aside = store.remove(TASK)
    assert aside is not None and tree(aside) == {"file", MANIFEST}
    assert finished(store, TASK) == folder


def test_foreign_files_in_an_artifact_folder_are_set_aside(
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


def test_store_in_the_home_of_an_unknown_user_is_refused(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    monkeypatch.setenv("UVLP_STORE", "~nobody-has-this-name/store")
    code, err = call("list", "tables")
    assert code == 2 and "~nobody-has-this-name" in err


@pytest.mark.parametrize("folder", ["train", "train/cat", "train/uvlp_store", "val/cat/deep/store"])
def test_store_among_the_images_of_a_dataset_is_refused(
    call: Call, importing: list[str], tmp_path: Path, folder: str
) -> None:
    before = tree(tmp_path)
    code, err = call(*importing, "--store", str(tmp_path / "set" / folder))
    assert code == 2 and "the store is among the images of the dataset" in err
    arguments = [
        "reproduce",
        importing[-1],
        "1",
        "--profile",
        "nano",
        "--store",
        str(tmp_path / "set" / folder),
    ]
    code, err = call(*arguments)
    assert code == 2 and "the store is among the images of the dataset" in err
    assert tree(tmp_path) == before


def test_other_store_among_the_images_is_refused(call: Call, importing: list[str], tmp_path: Path) -> None:
    other = tmp_path / "set" / "train" / "cat" / "results"
    other.mkdir()
    (other / MARK).write_text('{"schema": 1}')
    code, err = call(*importing)
    assert code == 2 and "a store is inside a dataset's image folders" in err and str(other) in err


def test_store_beside_the_images_is_accepted(
    call: Call, importing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "set")
    for _ in range(2):
        assert call(*importing[:-1], "folder:.")[0] == 0


def test_dataset_among_artifacts_is_refused(call: Call, importing: list[str], tmp_path: Path) -> None:
    Store(tmp_path / "store").prepare()
    inside = tmp_path / "store" / ".tmp" / "set"
    (tmp_path / "set").rename(inside)
    before = tree(inside)
    code, err = call(*importing[:-1], f"folder:{inside}", "--store", str(tmp_path / "store"))
    assert code == 2 and "among the artifacts of the store" in err and tree(inside) == before
