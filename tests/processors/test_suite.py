"""The runs under settings, on a small test file of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processors import suite
from tests.processors.settings import SETTINGS, lacking

TESTS = """
import os, pytest
def test_passes(): pass
def test_differs(): assert os.environ.get("ATEN_CPU_CAPABILITY") != "avx2"
@pytest.mark.skip
def test_not_here(): pass
"""


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    (tmp_path / "test_small.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n container\n gpu\n slow\n long\n")
    return [
        "--",
        "-q",
        "-n",
        "0",
        "--rootdir",
        str(tmp_path),
        "-c",
        str(tmp_path / "pytest.ini"),
        str(tmp_path),
    ]


def test_every_setting_is_run_and_one_that_fails_fails_all(
    words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.setattr(suite, "lacking", lambda name: "avx9" if name == "glibc" else "")
    assert suite.main(["aten-avx2", "glibc", "as-it-is", *words]) == 1
    head, *rows = capfd.readouterr().out.rpartition("\nsetting ")[2].splitlines()
    assert [row.split()[:3] for row in rows] == [
        ["aten-avx2", "1", "1"],
        ["glibc", "0", "not"],
        ["as-it-is", "2", "0"],
    ]
    assert suite.main(["as-it-is", *words]) == 0


def test_a_run_that_counts_nothing_has_crashed(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert suite.main(["as-it-is", *words, "--no-such-option"]) == 1
    assert "crashed" in capfd.readouterr().out


def test_an_unknown_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        suite.main(["arm"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "unknown setting: arm" in said and "as-it-is" in said


def test_settings_that_need_instructions_are_left_out_without_them(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: sse4_2 popcnt\n")
    assert [name for name in SETTINGS if lacking(name, tmp_path / "cpuinfo")] == [
        "aten-avx2",
        "openblas-haswell",
    ]
