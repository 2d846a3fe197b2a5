"""Clones of one commit, of a repository on this machine that stands for one of the hub."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from uvlp.core.errors import UvlpError
from uvlp.exchange import checkouts
from uvlp.exchange.baselines import Baseline

AUTHOR = {
    **{f"GIT_{role}_NAME": "A" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "a@b" for role in ("AUTHOR", "COMMITTER")},
}


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    environment = os.environ | AUTHOR
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, encoding="utf-8"
    ).stdout.strip()


def commit(folder: Path, text: str) -> str:
    (folder / "train.py").write_text(text, encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def baseline(tmp_path: Path) -> Baseline:
    """A repository whose pinned commit is not its last one; with a submodule, a hook and a filter."""
    source, part = tmp_path / "source", tmp_path / "part"
    for folder in (part, source):
        folder.mkdir()
        git(folder, "init", "--quiet")
    commit(part, "part")
    git(source, "-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(part), "part")
    (source / ".gitattributes").write_text("train.py filter=mine\n", encoding="utf-8")
    pinned = commit(source, "pinned")
    commit(source, "later")
    return Baseline(name="mine", title="Mine", repository=str(source), commit=pinned, licence="MIT")


def refused(baseline: Baseline, folder: Path) -> UvlpError:
    """The error of a clone, which leaves nothing behind."""
    before = sorted(path.name for path in folder.parent.iterdir()) if folder.parent.is_dir() else []
    with pytest.raises(UvlpError) as caught:
        checkouts.fetch(baseline, folder)
    after = sorted(path.name for path in folder.parent.iterdir()) if folder.parent.is_dir() else []
    assert after == before
    return caught.value


def test_exactly_the_pinned_commit_is_cloned(baseline: Baseline, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "clone"
    checkouts.fetch(baseline, folder)
    assert (folder / "train.py").read_text(encoding="utf-8") == "pinned"
    assert git(folder, "rev-parse", "HEAD") == baseline.commit
    assert git(folder, "rev-list", "--all", "--count") in ("0", "1"), "no history"
    assert git(folder, "status", "--porcelain") == ""
    assert not list((folder / "part").iterdir()), "no submodule"
    assert not list((folder / ".git").glob("hooks/*"))
    assert [path.name for path in folder.parent.iterdir()] == ["clone"]


def test_hooks_of_the_user_do_not_run(
    baseline: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks, ran = tmp_path / "hooks", tmp_path / "ran"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n", encoding="utf-8")
    (hooks / "post-checkout").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[core]\n\thooksPath = {hooks}\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "source" / ".git"))
    checkouts.fetch(baseline, tmp_path / "clone")
    assert not ran.exists() and (tmp_path / "clone" / ".git").is_dir()


def test_an_empty_folder_is_used(baseline: Baseline, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    checkouts.fetch(baseline, tmp_path / "clone")
    assert (tmp_path / "clone" / "train.py").is_file()


def test_a_commit_that_is_gone_is_named(baseline: Baseline, tmp_path: Path) -> None:
    gone = replace(baseline, commit="0123456789" * 4)
    error = refused(gone, tmp_path / "clone")
    assert (
        "no longer" in error.what and gone.commit in str(error.got) and baseline.repository in str(error.got)
    )


@pytest.mark.parametrize("name", ["a file", "a folder"])
def test_what_is_there_is_not_touched(baseline: Baseline, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "clone"
    kept = folder if name == "a file" else folder / "mine.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine", encoding="utf-8")
    assert refused(baseline, folder).got == str(folder)
    assert kept.read_text(encoding="utf-8") == "mine"


def test_without_git_it_says_so(baseline: Baseline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(baseline, tmp_path / "clone").what == "git is not installed"


def test_without_a_network_it_says_so(baseline: Baseline, tmp_path: Path) -> None:
    error = refused(replace(baseline, repository="https://127.0.0.1:9/a/b"), tmp_path / "clone")
    assert "cannot be reached" in error.what and "127.0.0.1" in str(error.got)


def test_a_repository_that_is_gone_is_named(baseline: Baseline, tmp_path: Path) -> None:
    error = refused(replace(baseline, repository=str(tmp_path / "gone")), tmp_path / "clone")
    assert "is not there" in error.what and str(tmp_path / "gone") in str(error.got)


def test_a_folder_that_cannot_be_made_is_refused(baseline: Baseline, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    error = refused(baseline, tmp_path / "file" / "clone")
    assert error.got == str(tmp_path / "file") and "--to" in str(error.fix)


@pytest.mark.parametrize(
    ("printed", "part"),
    [
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "cannot be reached"),
        ("remote: Not Found\nfatal: repository 'https://x/' not found", "is not there"),
        ("fatal: could not read Username for 'https://x': terminal prompts disabled", "is not there"),
        ("fatal: remote error: upload-pack: not our ref 0123", "no longer"),
        ("error: file write error: No space left on device\nfatal: unable to write", "disk is full"),
        ("fatal: something else", "something else"),
        ("", "no reason given"),
    ],
)
def test_messages_of_git_are_explained(baseline: Baseline, printed: str, part: str) -> None:
    assert part in checkouts._explained(baseline, printed).what
