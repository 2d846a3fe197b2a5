"""Folders that cannot be one, and ~, in every option and variable that names a place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from uvlp.cli import app
from uvlp.core.errors import UvlpError


def refused(*words: object) -> UvlpError:
    """What the command line refuses a request with."""
    with pytest.raises(UvlpError) as caught:
        app.app(list(map(str, words)), standalone_mode=False)
    return caught.value


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


NO_FOLDERS = [
    (dangling, "a link to nothing"),
    (lambda path: path.touch(), "something that is no folder"),
    (os.mkfifo, "something that is no folder"),
    (lambda path: path.symlink_to("/proc"), "a view into the kernel"),
]
RUN = ("reproduce", "digits", "2", "--profile", "nano", "--method", "random")


@pytest.mark.parametrize(("make", "got"), NO_FOLDERS)
@pytest.mark.parametrize("command", [RUN, (*RUN, "--dry-run"), ("list", "tables"), ("table", "x")])
def test_a_store_where_no_folder_can_be(
    command: tuple[str, ...], make: Callable[[Path], object], got: str, tmp_path: Path
) -> None:
    make(tmp_path / "store")
    error = refused(*command, "--store", tmp_path / "store")
    assert error.what == f"the store cannot lie at {tmp_path / 'store'}"
    assert str(error.got).startswith(got)
    assert "--store" in str(error.fix)


@pytest.mark.parametrize("place", ["/proc", "/proc/x/y"])
def test_a_store_in_the_kernel(place: str) -> None:
    assert str(refused(*RUN, "--store", place).got).startswith("a view into the kernel")


@pytest.mark.parametrize(("make", "got"), NO_FOLDERS)
def test_a_data_folder_where_no_folder_can_be(
    make: Callable[[Path], object], got: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "data")
    words = ("reproduce", "imagenette", "2", "--dry-run", "--store", tmp_path / "store")
    assert str(refused(*words, "--data", tmp_path / "data").got).startswith(got)
    monkeypatch.setenv("UVLP_DATA", str(tmp_path / "data"))
    error = refused(*words)
    assert error.what == f"the data folder cannot lie at {tmp_path / 'data'}"
    assert "--data" in str(error.fix)


def test_the_doctor_tells_such_a_store_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dangling(tmp_path / "store")
    dangling(tmp_path / "data")
    monkeypatch.setenv("UVLP_DATA", str(tmp_path / "data"))
    assert app.app(["doctor", "--store", str(tmp_path / "store")], standalone_mode=False) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if "a link to nothing" in line]
    assert len(lines) == 2


def test_a_tilde_is_the_home_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves it where an option is joined with `=`, or in a variable between quotes."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UVLP_STORE", "~/store")
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    (tmp_path / "captions.jsonl").write_text('{"file_name": "x.png", "text": "a"}\n')
    words = ("--dataset", "digits")
    assert refused("captions", "import", "~/captions.jsonl", *words).got == "x.png"
    questions = refused("captions", "import", "~/captions.jsonl", "--questions", "~/none.jsonl", *words)
    assert str(tmp_path) in questions.what
    damaged = refused("teacher", "digits", "conv3", "--checkpoint", "~/weights.pth", "--dry-run")
    assert damaged.got == str(tmp_path / "weights.pth")
    assert (tmp_path / "store").is_dir()
    assert not (tmp_path / "~").exists()
