"""`--debug`: the traceback of a defect in a plug-in ends with the line of the plug-in."""

import os
import subprocess
import sys
from pathlib import Path

from tests.other_packages import install

REPOSITORY = Path(__file__).parents[2]
BROKEN = '''"""A method with a defect inside a library's call."""

REVISION = 1
TITLE = "Broken"
FEATURES = ()


def select(inputs, settings, progress):
    """Rows per class."""
    import json

    return json.loads("{")
'''


def test_the_traceback_of_a_plug_in_ends_with_its_own_line(tmp_path: Path) -> None:
    install(tmp_path, "broken", {"broken.py": BROKEN}, {"methods": {"broken": "broken"}})
    command = ["reproduce", "digits", "1", "--profile", "nano", "--method", "broken", "--debug"]
    ran = subprocess.run(
        [sys.executable, "-m", "uvlp", *command, "--store", str(tmp_path / "store")],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" in ran.stderr
    assert "--debug" not in ran.stderr, "the hint is for who has not asked yet"
    assert ran.stderr.rstrip().splitlines()[-2:] == [
        "  from broken.py, line 12, in select",
        '    return json.loads("{")',
    ]
