"""An ASCII locale gives the same names, keys and bytes as a UTF-8 locale."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvlp.core.files import utf8

CAFE = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOCALES = {"plain": PLAIN, "utf8": {"LC_ALL": "C.UTF-8"}}
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a non-ASCII name, a dataset and its captions."""
    here = tmp_path / CAFE
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for split in ("train", "val"):
        (here / CAFE / split / CAFE).mkdir(parents=True)
        Image.fromarray(pixels).save(here / CAFE / split / CAFE / "1.png")
    row = {"file_name": f"{CAFE}/1.png", "text": "ein K\N{LATIN SMALL LETTER A WITH DIAERESIS}tzchen"}
    (here / f"{CAFE}.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    return here


def run(here: Path, locale: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON"))}
    completed = subprocess.run(
        [sys.executable, "-m", "uvlp", *arguments],
        cwd=here,
        env=kept | {"PYTHONPATH": str(REPOSITORY)} | locale,
        capture_output=True,
        check=False,
    )
    return completed.returncode, completed.stdout.decode("utf-8"), completed.stderr.decode("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (("table", CAFE), 2, f"got '{CAFE}'"),
        (("evaluate", f"{CAFE}=nowhere", "--dataset", f"folder:{CAFE}", "--profile", "nano"), 2, "nowhere"),
        (("reproduce", f"folder:{CAFE}", "1", "--print-config", "--set", f"note={CAFE}"), 0, CAFE),
        (("list", "methods", "--data", CAFE), 2, "--data"),
    ],
)
def test_arguments_may_be_non_ascii(here: Path, arguments: tuple[str, ...], code: int, shown: str) -> None:
    store = ("--store", f"store {CAFE}")
    plain, usual = (run(here, locale, *arguments, *store) for locale in LOCALES.values())
    assert plain == usual
    assert plain[0] == code and shown in "".join(plain[1:]), plain


def test_stored_bytes_do_not_depend_on_the_locale(here: Path) -> None:
    arguments = ("captions", "import", f"{CAFE}.jsonl", "--dataset", f"folder:{CAFE}", "--json")
    contents = []
    for name, locale in LOCALES.items():
        store = here / f"{CAFE} {name}"
        code, out, err = run(here, locale, *arguments, "--store", store.name)
        assert (code, err.count("uvlp:")) == (0, 0), err
        files = {path.relative_to(store): path for path in (store / "imported").rglob("*")}
        contents.append({str(name): path.read_bytes() for name, path in files.items() if path.is_file()})
    assert contents[0] == contents[1] != {}


def test_argument_that_is_not_utf8_is_refused(here: Path) -> None:
    for locale in LOCALES.values():
        ran = run(here, locale, "table", "\udce9", "--store", "store")
        assert ran[0] == 2 and ran[2].startswith("uvlp: an argument is not UTF-8")


def test_isolated_python_is_restarted_once(here: Path) -> None:
    """It ignores environment variables: setting only PYTHONUTF8 would restart it for ever."""
    program = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})"
        "; from uvlp.core.files import utf8; utf8.ensure_utf8_mode()"
    )
    program += "; print(sys.flags.isolated, sys.getfilesystemencoding(), sys.argv[1])"
    ran = subprocess.run(
        [sys.executable, "-I", "-X", "utf8=0", "-c", program, CAFE],
        env=PLAIN,
        capture_output=True,
        timeout=60,
    )
    assert ran.stdout.split()[:2] == [b"1", b"ascii"], "as requested, without another restart"
    # An isolated Python ignores PYTHONUTF8=0, and its plain locale then means UTF-8.
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program, CAFE], env=PLAIN, capture_output=True, timeout=60
    )
    assert ran.stdout == f"1 utf-8 {CAFE}\n".encode()


def test_encoding_of_the_terminal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setattr("locale.getencoding", lambda: "ISO-8859-1")
    monkeypatch.setattr("os.execv", lambda program, arguments: started.append(arguments))
    environment = {"PYTHONUTF8": "0"}
    monkeypatch.setattr("os.environ", environment)
    utf8.ensure_utf8_mode()
    assert environment == {"PYTHONIOENCODING": "ISO-8859-1", "PYTHONUTF8": "1"}
    assert started == [[sys.executable, "-X", "utf8", *sys.orig_argv[1:]]]
    del environment["PYTHONIOENCODING"]
    monkeypatch.setattr("locale.getencoding", lambda: "ANSI_X3.4-1968")
    utf8.ensure_utf8_mode()
    assert environment == {"PYTHONUTF8": "1"} and len(started) == 2
