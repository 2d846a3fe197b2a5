"""An edited plug-in whose REVISION was not raised is reported when its old results are reused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.other_packages import install

REPOSITORY = Path(__file__).parents[2]
METHOD = '''"""The first images of each class."""

REVISION = {revision}
TITLE = "First"
FEATURES = ()


def select(inputs, settings, progress):
    """Rows per class."""
    return [data.rows[{skip} : {skip} + inputs.ipc] for data in inputs.classes]
'''
CALL = ("reproduce", "digits", "1", "--profile", "nano", "--method", "first", "--workers", "1")


def run(folder: Path) -> str:
    """Run the method; bytecode would hide an edit of equal length within the same second."""
    ran = subprocess.run(
        [sys.executable, "-m", "uvlp", *CALL, "--store", str(folder / "store")],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


@pytest.mark.slow
def test_an_edit_is_reported_until_the_revision_is_raised(tmp_path: Path) -> None:
    install(
        tmp_path, "first", {"first.py": METHOD.format(revision=1, skip=0)}, {"methods": {"first": "first"}}
    )
    run(tmp_path)
    assert "has changed" not in run(tmp_path)
    (tmp_path / "first.py").write_text(METHOD.format(revision=1, skip=5), encoding="utf-8")
    (line,) = [line for line in run(tmp_path).splitlines() if "has changed since first images" in line]
    assert line.startswith("note   ") and "raise its REVISION" in line and line.count("first.py") == 1
    (tmp_path / "first.py").write_text(METHOD.format(revision=2, skip=5), encoding="utf-8")
    rebuilt = run(tmp_path)
    assert "has changed" not in rebuilt and "done   first images" in rebuilt
