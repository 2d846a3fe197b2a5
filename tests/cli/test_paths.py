"""Paths that cannot be read or written, in every option: exit code 2 and one line that names them."""

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
    """Run the command line in this process: (exit code, error line)."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["uvlp", *arguments])
        with pytest.raises(SystemExit) as end:
            app.main()
        lines = [line for line in capsys.readouterr().err.split("\n") if line.startswith("uvlp:")]
        return int(end.value.code or 0), "\n".join(lines)

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a link to itself, a broken link and a file."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


BAD = ("loop", "file/below", LONG, "~nobody-of-this-name/below")


@pytest.mark.parametrize("path", BAD)
def test_invalid_path_in_every_option_is_refused(path: str, call: Call, here: Path) -> None:
    for arguments in (
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
        code, line = call(*arguments, "--store", str(here / "store"))
        assert code == 2, (arguments, line)
        assert line.count("\n") == 0 and line.startswith("uvlp:") and "unexpected error" not in line, (
            arguments,
            line,
        )


@pytest.mark.parametrize("path", ["loop", "loop/below", "file", "file/below", LONG, f"{LONG}/below"])
def test_impossible_store_is_refused(path: str, call: Call, here: Path) -> None:
    code, line = call("reproduce", "digits", "1", "--profile", "nano", "--method", "random", "--store", path)
    assert code == 2, line
    assert path in line and "unexpected error" not in line
    assert sorted(os.listdir(here)) == ["dangling", "file", "loop"]


def test_deleted_current_folder_is_reported(call: Call, here: Path) -> None:
    gone = here / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert call("list", "tables", "--store", "store") == (
        2,
        "uvlp: the current folder no longer exists; change to an existing one",
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
def test_invalid_hub_url_is_refused(address: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    code, line = call("list", "methods")
    assert code == 2
    assert line.startswith("uvlp: HF_ENDPOINT is not a valid URL: got ") and address in line


def test_empty_hub_url_is_ignored(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert call("list", "methods") == (0, "")


@pytest.mark.parametrize("path", ["file", "loop", "dangling"])
def test_store_that_is_not_a_folder_is_refused(path: str, call: Call, here: Path) -> None:
    for arguments in (("list", "tables"), ("table", "digits-ipc10")):
        code, line = call(*arguments, "--store", path)
        assert code == 2
        assert line.startswith(f"uvlp: the store cannot be at {path}")


def test_broken_link_to_captions_is_reported(call: Call, here: Path) -> None:
    for split in ("train", "val"):
        (here / "images" / split / "cat").mkdir(parents=True)
        (here / "images" / split / "cat" / "1.png").write_bytes(b"")
    (here / "images" / "train" / "metadata.jsonl").symlink_to("nothing")
    code, line = call("reproduce", f"folder:{here}/images", "1", "--dry-run")
    assert (code, "metadata.jsonl" in line) == (2, True), line
