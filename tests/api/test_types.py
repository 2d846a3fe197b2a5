"""A type checker knows the functions of `import uvlp`, their keywords and what they return."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = """
import uvlp

result = uvlp.evaluate("made/images", dataset="digits", normalised=(0.5, 0.25), repeats=1)
caption: str = result.table.caption
images = uvlp.distil("digits", 2, method="random", profile="nano")
count: int = len(images.entries)
try:
    uvlp.table("nette-idc", store=uvlp.Store("store"))
except uvlp.UvlpError as error:
    print(error.got)
uvlp.evalute("images")  # 1
uvlp.evaluate("images", dataset=3)  # 2
uvlp.reproduce("digits", 10, metod="random")  # 3
uvlp.reproduce("digits", 10, workers="two")  # 4
result.to_fram()  # 5
images.labels = 3  # 6
"""
CONFIG = """[mypy]
strict = true
[mypy-PIL.*,altair.*,diffusers.*,huggingface_hub.*,numpy.*,pandas.*,safetensors.*,scipy.*,sklearn.*,torch.*]
follow_imports = skip
"""


@pytest.mark.slow
def test_a_script_is_checked(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text(CONFIG, encoding="utf-8")
    line = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-error-summary", "script.py"]
    environment = {**os.environ, "MYPYPATH": str(REPOSITORY)}
    ran = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    errors = [text for text in ran.stdout.split("\n") if " error: " in text]
    wrong = [number for number, text in enumerate(SCRIPT.split("\n"), 1) if "# " in text]
    assert [*dict.fromkeys(int(text.split(":")[1]) for text in errors)] == wrong, ran.stdout + ran.stderr
    assert '"evalute"' in errors[0] and '"metod"' in errors[2]
