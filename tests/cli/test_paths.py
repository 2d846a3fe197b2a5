"""A path that cannot be read or written, in every option: exit code 2 and one line that names it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uvlp.cli import app

Call = Callable[..., tuple[int, str]]
LONG = "x" * 300


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process: (exit code, its one line)."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        lines = [line for line in capsys.readouterr().err.split("\n") if line.startswith("uvlp:")]
        return int(end.value.code or 0), "\n".join(lines)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a link to itself, a link to nothing and a file; the current one."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD = ("loop", "file/below", LONG, "~nobody-of-this-name/below")


@pytest.mark.parametrize("path", BAD)
def test_every_option_that_takes_a_path(path: str, call: Call, here: Path) -> None:
    for words in (
        ("reproduce", f"folder:{path}", "1", "--dry-run"),
        ("evaluate", path, "--dataset", "digits", "--dry-run"),
        ("captions", "import", path, "--dataset", "digits"),
        ("captions", "check", path, "--dataset", "digits"),
        ("captions", "import", "file", "--questions", path, "--dataset", "digits"),
        ("teacher", "digits", "conv3", "--checkpoint", path, "--offline"),
        ("reproduce", "cifar10", "1", "--data", path, "--offline"),
        ("reproduce", "digits", "1", "--finetuned-model", path),
        ("reproduce", "digits", "1", "--profile", "sd15", "--offline", f"--set=models.diffusion={path}"),
        ("reproduce", "digits", "1", "--profile", "sd15", "--offline", f"--set=models.clip=local-dir:{path}"),
    ):
        code, line = call(*words, "--store", str(here / "store"))
        assert code == 2, (words, line)
        assert line.count("\n") == 0 and line.startswith("uvlp:") and "defect" not in line, (words, line)


@pytest.mark.parametrize("path", ["loop", "loop/below", "file", "file/below", LONG, f"{LONG}/below"])
def test_a_store_that_cannot_be(path: str, call: Call, here: Path) -> None:
    code, line = call("reproduce", "digits", "1", "--profile", "nano", "--method", "random", "--store", path)
    assert code == 2, line
    assert path in line and "defect" not in line
    assert sorted(os.listdir(here)) == ["dangling", "file", "loop"]


def test_a_current_folder_that_is_gone(call: Call, here: Path) -> None:
    gone = here / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert call("list", "tables", "--store", "store") == (
        2,
        "uvlp: the current folder is gone; change to one that is there",
    )


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "http://",
        "https://[bad",
        "ftp://x",
        "http://x:99999",
        "file:///etc",
        "http://a b",
        "http://x:y",
    ],
)
def test_a_hub_that_is_no_address(address: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    code, line = call("list", "methods")
    assert code == 2
    assert line.startswith("uvlp: HF_ENDPOINT is no address of a hub: got ") and address in line


def test_an_empty_address_of_a_hub_is_none(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert call("list", "methods") == (0, "")


@pytest.mark.parametrize("path", ["file", "loop", "dangling"])
def test_a_store_that_is_no_folder_has_no_tables(path: str, call: Call, here: Path) -> None:
    for words in (("list", "tables"), ("table", "digits-ipc10")):
        code, line = call(*words, "--store", path)
        assert code == 2
        assert line.startswith(f"uvlp: the store cannot lie at {path}")


def test_captions_behind_a_link_to_nothing_are_missed(call: Call, here: Path) -> None:
    for split in ("train", "val"):
        (here / "images" / split / "cat").mkdir(parents=True)
        (here / "images" / split / "cat" / "1.png").write_bytes(b"")
    (here / "images" / "train" / "metadata.jsonl").symlink_to("nothing")
    code, line = call("reproduce", f"folder:{here}/images", "1", "--dry-run")
    assert (code, "metadata.jsonl" in line) == (2, True), line
