"""`uvlp patched` on a package that consists of the files which the patch changes."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from uvlp.cli import app
from uvlp.core.errors import UvlpError
from uvlp.core.hashing import file_sha256
from uvlp.exchange import patched

NAMES = ("StableDiffusionGenLatentsPipeline", "StableDiffusionLatents2ImgPipeline")
REAL = patched.read_patch(patched.PATCH)


class Distribution:
    """An installed distribution of a release, with its package in a folder."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version, self.folder = version, folder

    def locate_file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the package is installed: the changed files of the installed one, and one more."""
    installed = Path(str(importlib.metadata.distribution(patched.LIBRARY).locate_file(patched.LIBRARY)))
    package = tmp_path / "site" / patched.LIBRARY
    for name in REAL.changed:
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(installed / name, package / name)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "old.pyc").write_bytes(b"old")
    (package / "image.py").write_text("SIZE = 1\n", encoding="utf-8")
    install(monkeypatch, REAL.release, package.parent)
    return package.parent


def install(monkeypatch: pytest.MonkeyPatch, version: str, folder: Path) -> None:
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Distribution(version, folder))


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*.py")}


def refused(target: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        patched.ensure(target)
    return caught.value


def test_the_copy_is_patched_and_the_installed_package_is_not(site: Path, tmp_path: Path) -> None:
    before = hashes(site)
    target = patched.ensure(tmp_path / "new" / "copy")
    copy = target / patched.LIBRARY
    assert hashes(site) == before
    assert not (copy / "__pycache__").exists()
    added = {f"{folder}/{name}" for name, folder in REAL.added.items()}
    assert set(hashes(copy)) == {name.removeprefix("diffusers/") for name in before} | added
    for name, change in REAL.changed.items():
        assert file_sha256(copy / name) == change.after
        text = (copy / name).read_text(encoding="utf-8")
        assert all(text.count(each) == 2 for each in NAMES)
    for name, folder in REAL.added.items():
        assert (copy / folder / name).read_bytes() == (patched.PATCH / name).read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["copy"], "nothing else is left"


def test_an_intact_copy_is_used_again(site: Path, tmp_path: Path) -> None:
    target = patched.ensure(tmp_path / "copy")
    before = (target / patched.MARK).stat()
    (target / patched.LIBRARY / "__pycache__").mkdir()
    (target / patched.LIBRARY / "__pycache__" / "image.pyc").write_bytes(b"compiled by a run")
    patched.ensure(target)
    assert (target / patched.MARK).stat() == before


@pytest.mark.parametrize("what", ["file", "mark", "release", "patch"])
def test_a_changed_copy_is_made_anew(
    site: Path, tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = patched.ensure(tmp_path / "copy")
    intact = hashes(target)
    mark = json.loads((target / patched.MARK).read_text(encoding="utf-8"))
    if what == "file":
        (target / patched.LIBRARY / "image.py").write_text("SIZE = 2\n", encoding="utf-8")
    else:
        text = "{" if what == "mark" else json.dumps({**mark, what: "another"})
        (target / patched.MARK).write_text(text, encoding="utf-8")
    patched.ensure(target)
    assert hashes(target) == intact
    assert json.loads((target / patched.MARK).read_text(encoding="utf-8")) == mark
    assert str(target) in capsys.readouterr().err


def test_another_release_is_refused(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "0.43.0", site)
    error = refused(tmp_path / "copy")
    assert (error.got, error.allowed) == ("0.43.0", REAL.release)
    assert not (tmp_path / "copy").exists()


def test_a_missing_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: str) -> Distribution:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    assert refused(tmp_path / "copy").allowed == REAL.release


def test_an_edited_installation_is_refused(site: Path, tmp_path: Path) -> None:
    edited = site / patched.LIBRARY / "pipelines" / "__init__.py"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    error = refused(tmp_path / "copy")
    assert error.got == str(edited) and REAL.changed["pipelines/__init__.py"].before in str(error.allowed)


@pytest.mark.parametrize("what", ["other files", "a file", "a broken link"])
def test_what_is_not_a_copy_is_never_touched(site: Path, tmp_path: Path, what: str) -> None:
    target = tmp_path / "mine"
    if what == "other files":
        target.mkdir()
        (target / "work.txt").write_text("mine", encoding="utf-8")
    elif what == "a file":
        target.write_text("mine", encoding="utf-8")
    else:
        target.symlink_to(tmp_path / "gone")
    assert refused(target).got == str(target)
    with pytest.raises(UvlpError) as caught:
        patched.remove(target)
    assert caught.value.got == str(target)
    kept = target / "work.txt" if what == "other files" else target
    assert kept.is_symlink() or kept.read_text(encoding="utf-8") == "mine"


def test_a_copy_can_be_removed(site: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.mkdir()
    patched.remove(patched.ensure(target))
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_folder_that_cannot_be_written_is_refused(site: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    error = refused(tmp_path / "file" / "copy")
    assert "--target" in str(error.fix)


@pytest.mark.parametrize("change", ["twice", "absent", "differs"])
def test_insertions_that_do_not_fit_are_refused(change: str) -> None:
    insertion = patched.Insertion(below="one", lines=("new",))
    text = {"twice": "one\none", "absent": "two", "differs": " one"}[change]
    with pytest.raises(UvlpError) as caught:
        patched._inserted(text, patched.Change(before="", after="", insertions=(insertion,)), "file.py")
    assert caught.value.got == "one"


def test_without_the_patch_it_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patched, "PATCH", tmp_path)
    assert refused(tmp_path / "copy").got == str(tmp_path / "patch.toml")
    (tmp_path / "patch.toml").write_text("release = 1\n", encoding="utf-8")
    assert "missing field" in refused(tmp_path / "copy").what


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["uvlp", "patched", *words])
    with pytest.raises(SystemExit) as end:
        app.main()
    return int(end.value.code or 0)


def test_the_command_makes_prints_and_removes_the_copy(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copy"
    assert call(monkeypatch, "--target", str(target)) == 0
    assert capsys.readouterr().out == f"{target}\n" and (target / patched.MARK).is_file()
    assert call(monkeypatch, "--target", str(target), "--remove", "python") == 2
    assert call(monkeypatch, "--target", str(target), "--remove") == 0 and not target.exists()
    assert call(monkeypatch, "--target", str(target), "--remove") == 2


def test_the_command_passes_everything_on(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process becomes the command, which is seen here where it would; numbers and options are its own."""
    target, seen = tmp_path / "copy", list[Any]()
    monkeypatch.setenv("PYTHONPATH", "/other")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.execve", lambda *arguments: seen.append(arguments))
    assert call(monkeypatch, "--target", str(target), "python", "a.py", "-1", "--target", "x", "--help") == 0
    ((program, words, environment),) = seen
    assert program == sys.executable and words == ["python", "a.py", "-1", "--target", "x", "--help"]
    assert environment["PYTHONPATH"] == f"{target}:/other"
    assert environment["PATH"].startswith(str(Path(sys.executable).parent) + ":")
    assert call(monkeypatch, "--target", str(target), "no-such-program") == 2
    assert "no-such-program" in capsys.readouterr().err and len(seen) == 1


@pytest.mark.slow
def test_the_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvlp", "patched", "--target", str(tmp_path / "copy")]
    program = "import diffusers, sys; print(diffusers.__path__[0]); sys.exit(7)"
    ran = subprocess.run([*command, "python3", "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (7, "")
    assert ran.stdout.strip() == str(tmp_path / "copy" / "diffusers")
