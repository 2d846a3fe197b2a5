"""The list of pinned repositories."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from uvlp.core.errors import UvlpError
from uvlp.exchange import baselines
from uvlp.pipeline.folders.rows import LONGEST

METHODS = {"vlcp", "d4m", "minimax", "rded", "uvlp", "glad", "dit", "sre2l", "idc", "dm"}
LATER = {"mgd3", "igd", "d3hr", "cao2"}


def test_every_repository_of_the_papers_is_pinned() -> None:
    listed = baselines.entries()
    assert {name for name, entry in listed.items() if entry.commit} >= METHODS | LATER
    addresses = [entry.repository for entry in listed.values() if entry.repository]
    assert all(re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", each) for each in addresses)
    commits = [entry.commit for entry in listed.values() if entry.commit]
    assert len(set(commits)) == len(commits) and len(set(addresses)) == len(addresses)


def test_rows_have_names_that_tables_take() -> None:
    rows = [baselines.pinned(name).row for name, entry in baselines.entries().items() if entry.commit]
    assert len(set(rows)) == len(rows) and max(map(len, rows)) <= LONGEST


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UvlpError) as caught:
        baselines.pinned("vlpc")
    assert caught.value.got == "vlpc" and "'vlcp'" in str(caught.value.fix)


def test_an_unpinned_name_is_refused_with_its_reason() -> None:
    with pytest.raises(UvlpError) as caught:
        baselines.pinned("ot_guided")
    error = caught.value
    assert "ot-guided" in error.what and baselines.entries()["ot-guided"].unpinned in error.what
    assert "vlcp" in str(error.allowed) and "lgd" not in str(error.allowed)


@pytest.mark.parametrize(
    "text",
    [
        'title = "A"',
        'title = "A"\nrepository = "https://a"\ncommit = "abc"',
        f'title = "A"\ncommit = "{"a" * 40}"',
        f'title = "A"\nrepository = "https://a"\ncommit = "{"a" * 40}"\nunpinned = "why"',
        'title = "A"\nunpinned = "why"\ncommit = "abc"',
        'title = "A"\nunpinned = "why"\nyear = 2024',
        "title = ",
    ],
)
def test_a_wrong_file_is_refused(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "FILE", tmp_path / "baselines.toml")
    baselines.FILE.write_text(f"[a]\n{text}\n", encoding="utf-8")
    with pytest.raises(UvlpError) as caught:
        baselines.entries()
    assert caught.value.got == str(baselines.FILE)


def test_a_missing_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "FILE", tmp_path / "none.toml")
    with pytest.raises(UvlpError) as caught:
        baselines.pinned("vlcp")
    assert caught.value.got == str(tmp_path / "none.toml")
