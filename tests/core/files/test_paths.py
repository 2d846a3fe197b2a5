"""Impossible folders, and ~, in every option and variable that names a path."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from uvlp.cli import app
from uvlp.core.errors import UvlpError


def refused(*arguments: object) -> UvlpError:
    """Return the error with which the command line refuses the arguments."""
    with pytest.raises(UvlpError) as caught:
        app.app(list(map(str, arguments)), standalone_mode=False)
    return caught.value


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


NO_FOLDERS = [
    (dangling, "a broken link to"),
    (lambda path: path.touch(), "not a folder"),
    (os.mkfifo, "not a folder"),
    (lambda path: path.symlink_to("/proc"), "a file system of the kernel"),
]
RUN = ("reproduce", "digits", "2", "--profile", "nano", "--method", "random")


@pytest.mark.parametrize(("make", "got"), NO_FOLDERS)
@pytest.mark.parametrize("command", [RUN, (*RUN, "--dry-run"), ("list", "tables"), ("table", "x")])
def test_impossible_store_is_refused(
    command: tuple[str, ...], make: Callable[[Path], object], got: str, tmp_path: Path
) -> None:
    make(tmp_path / "store")
    error = refused(*command, "--store", tmp_path / "store")
    assert error.what == f"the store cannot be at {tmp_path / 'store'}"
    assert str(error.got).startswith(got)
    assert "--store" in str(error.fix)


@pytest.mark.parametrize("path", ["/proc", "/proc/x/y"])
def test_store_on_a_kernel_file_system_is_refused(path: str) -> None:
    assert str(refused(*RUN, "--store", path).got).startswith("a file system of the kernel")


@pytest.mark.parametrize(("make", "got"), NO_FOLDERS)
def test_impossible_data_folder_is_refused(
    make: Callable[[Path], object], got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "data")
    arguments = ("reproduce", "imagenette", "2", "--dry-run", "--store", tmp_path / "store")
    assert str(refused(*arguments, "--data", tmp_path / "data").got).startswith(got)
    monkeypatch.setenv("UVLP_DATA", str(tmp_path / "data"))
    error = refused(*arguments)
    assert error.what == f"the data folder cannot be at {tmp_path / 'data'}"
    assert "--data" in str(error.fix)


def test_doctor_reports_an_impossible_store_and_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dangling(tmp_path / "store")
    dangling(tmp_path / "data")
    monkeypatch.setenv("UVLP_DATA", str(tmp_path / "data"))
    assert app.app(["doctor", "--store", str(tmp_path / "store")], standalone_mode=False) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if "a broken link to" in line]
    assert len(lines) == 2


def test_tilde_is_expanded_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell does not expand it after `--option=`, or in a quoted variable."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UVLP_STORE", "~/store")
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    (tmp_path / "captions.jsonl").write_text('{"file_name": "x.png", "text": "a"}\n')
    dataset = ("--dataset", "digits")
    assert refused("captions", "import", "~/captions.jsonl", *dataset).got == "x.png"
    questions = refused("captions", "import", "~/captions.jsonl", "--questions", "~/none.jsonl", *dataset)
    assert str(tmp_path) in questions.what
    damaged = refused("teacher", "digits", "conv3", "--checkpoint", "~/weights.pth", "--dry-run")
    assert damaged.got == str(tmp_path / "weights.pth")
    assert (tmp_path / "store").is_dir()
    assert not (tmp_path / "~").exists()
