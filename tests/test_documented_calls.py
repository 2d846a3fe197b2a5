"""Every `uvlp` call that the documentation prints, carried out: small where it can be, else with --dry-run.

What is a placeholder on the page (PATH, FILE, a key, a table of a long run) stands here for something small
of the same kind. Downloads are tested on a hub of the tests' own (`tests/models/published/test_fetch.py`),
the examples of plug-ins by `tests/test_extending.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests import tiny_models
from tests.test_readme import CALLS, PAGES, codes, words_of

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[1]
ELSEWHERE = re.compile(r"\b(fetch|typical|bars|caption|cancel)\b")
"""Calls with one of these words are carried out by other tests, or name a command without its arguments."""
NAMES = (
    ["ablate"],
    ["evaluate"],
    ["evaluate", "FILE"],
    ["export"],
    ["robust"],
    ["status", "RUN"],
    ["table"],
    ["table", "NAME"],
    ["teacher"],
)
"""Calls that name a command in a sentence."""
STORED = ("reproduce", "digits", "10", "--profile", "nano", "--method", "random,uvlp")
MODULES = sorted(
    {
        match[1]
        for page in PAGES
        for code in codes(page)
        if (match := re.match(r"\.venv/bin/python ((?:-m )?(?:benchmarks|tools)[\w./]+)", code))
    }
)


DOCUMENTED = sorted(
    {
        shlex.join(words)
        for words in map(words_of, CALLS)
        if not ELSEWHERE.search(shlex.join(words)) and words not in NAMES
    }
)


def draw_images(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng([seed, index]).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished store, a dataset of images, its captions, and images to score on digits."""
    place = tmp_path_factory.mktemp("documented")
    for split in ("train", "val"):
        for label, name in enumerate(("cat", "dog")):
            draw_images(place / "data" / split / name, 12, label)
    rows = [
        f'{{"file_name": "{name}/{i}.png", "text": "a {name}"}}\n'
        for name in ("cat", "dog")
        for i in range(12)
    ]
    tiny_models.stylegan_xl(place / "generator")
    (place / "captions.jsonl").write_text("".join(rows), encoding="utf-8")
    for label in range(10):
        draw_images(place / "images" / f"{label:05d}", 2, label)
    floats = torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.save({"data": [[floats, torch.arange(20) % 10]]}, place / "FILE.pt")
    script = "from diffusers import StableDiffusionGenLatentsPipeline, StableDiffusionLatents2ImgPipeline\n"
    (place / "script.py").write_text(script, encoding="utf-8")
    config = 'dataset = "digits"\nipc = 10\nprofile = "nano"\n[evaluate]\nbatch = 32\n'
    (place / "run.toml").write_text(config, encoding="utf-8")
    for words in (
        list(STORED),
        ["captions", "import", "captions.jsonl", "--dataset", "folder:data"],
        ["baseline", "import", "vlcp", "images", "--dataset", "digits"],
        ["patched", "--target", "copy"],  # so that there is one to remove
    ):
        assert run(place, words).returncode == 0
    (table,) = (place / "uvlp_store" / "tables").iterdir()
    (place / "key").write_text(table.name[:8], encoding="utf-8")
    return place


def run(place: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UVLP_")}
    environment["PYTHONPATH"] = str(REPOSITORY)
    command = [sys.executable, "-m", "uvlp", *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def small(words: list[str], place: Path) -> list[str]:
    """The same call on what is in ``place``; its table by its key, as other calls add tables of its name."""
    key = (place / "key").read_text(encoding="utf-8")
    stands_for = {
        "PATH": "data" if words[0] == "reproduce" else "images",
        "folder:PATH": "folder:data",
        "hf:OWNER/NAME": "folder:data",  # tests/datasets/test_hf.py has a hub
        "FILE": "captions.jsonl",
        "SCRIPT": "script.py",
        "digits-ipc10": key,
        "digits-ipc50": key,
        "imagenette-ipc10": key,
        "b52151ad": key,
        "tables/KEY": key,
        "results": "uvlp_store",
        "uvlp-results": "uvlp_store",
        "hf://OWNER/NAME@REVISION": "images",
        "models.stylegan_xl=FOLDER": "models.stylegan_xl=generator",
    }
    words = words[: words.index(">")] if ">" in words else words  # the file that it writes is here
    replaced = [stands_for.get(word, word) for word in words]
    match replaced[0]:
        case "reproduce" if replaced[1] == "digits" or "tiny" in replaced:
            replaced = [word if word != "tiny" else "nano" for word in replaced]
            replaced += [] if "--profile" in replaced else ["--profile", "nano"]
            if "--portable" in replaced:
                replaced.append("--dry-run")  # tests/portable/test_hashes.py runs this chain
            if replaced[1] != "digits":
                replaced[2] = "2"
        case "reproduce":
            replaced += [] if "--dry-run" in replaced else ["--dry-run"]
        case "ablate" | "evaluate" | "robust":
            replaced += ["--profile", "nano"]
            if replaced.count("images") == 2:
                replaced[1] = "other=images"
        case "export" if "--push" in replaced:
            where = replaced.index("--push")
            del replaced[where : where + 2]  # tests/exchange/test_hub_push.py has a hub
        case "patched":
            replaced[1:1] = ["--target", "copy"]
        case "captions":
            replaced = ["folder:data" if word == "imagenette" else word for word in replaced]
    return replaced


@pytest.mark.parametrize("call", DOCUMENTED, ids=str)
def test_a_documented_call_works(call: str, place: Path) -> None:
    words = small(shlex.split(call), place)
    if "--fill" in words:
        words.remove("--fill")  # it runs for hours; tests/pipeline/published/test_show.py sees what it runs
    ran = run(place, words)
    if words[0] == "doctor":
        assert ran.returncode in (0, 2) and "python" in ran.stdout, "a machine may lack something"
    else:
        assert ran.returncode == 0, (words, ran.stderr)


HELP = """
import runpy, sys

for module in sys.argv[1:]:
    run = runpy.run_path if module.endswith(".py") else runpy.run_module
    sys.argv = [module, "--help"]
    try:
        run(module.removeprefix("-m "), run_name="__main__")
    except SystemExit as end:
        assert not end.code, (module, end.code)
    else:
        raise AssertionError(f"{module} --help goes on")
"""
"""Runs them in one process: most import torch, which takes longer than to print a text."""


def test_every_documented_measurement_explains_itself() -> None:
    command = [sys.executable, "-c", HELP, *MODULES]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0 and ran.stdout.count("usage: ") == len(MODULES), ran.stderr
