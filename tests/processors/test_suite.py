"""Runs with settings, on a small test file."""

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
def arguments(tmp_path: Path) -> list[str]:
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


def test_every_setting_is_run_and_a_failure_gives_exit_code_1(
    arguments: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    monkeypatch.setattr(suite, "lacking", lambda name: "avx9" if name == "glibc" else "")
    assert suite.main(["aten-avx2", "glibc", "as-it-is", *arguments]) == 1
    head, *rows = capfd.readouterr().out.rpartition("\nsetting ")[2].splitlines()
    assert [row.split()[:3] for row in rows] == [
        ["aten-avx2", "1", "1"],
        ["glibc", "0", "not"],
        ["as-it-is", "2", "0"],
    ]
    assert suite.main(["as-it-is", *arguments]) == 0


def test_a_run_without_a_report_counts_as_crashed(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert suite.main(["as-it-is", *arguments, "--no-such-option"]) == 1
    assert "crashed" in capfd.readouterr().out


def test_an_unknown_setting_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        suite.main(["arm"])
    assert stopped.value.code == 2
    output = capsys.readouterr().err
    assert "unknown setting: arm" in output and "as-it-is" in output


def test_settings_are_skipped_without_their_instructions(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: sse4_2 popcnt\n")
    assert [name for name in SETTINGS if lacking(name, tmp_path / "cpuinfo")] == [
        "aten-avx2",
        "openblas-haswell",
    ]
