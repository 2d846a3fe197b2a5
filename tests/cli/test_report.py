"""`uvlp report` and `uvlp figure`: what they write, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.caption_forms import Call
from tests.report.finished_store import fill
from uvlp.artifacts.store import Store
from uvlp.cli.commands.report import chosen
from uvlp.core.errors import UvlpError
from uvlp.report import output, sections


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filled") / "store"
    fill(root, methods=("random", "uvlp"), ipc=2)
    return root


@pytest.fixture
def store(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `call` looks; the current folder is empty."""
    shutil.copytree(filled, tmp_path / "store")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "store"


@pytest.mark.slow
def test_a_page_and_its_figures_are_written(call: Call, store: Path) -> None:
    words = ("report", "digits-ipc2", "--out", "a/page.html", "--figures", "figures")
    code, out, err = call(*words)
    assert code == 0 and "report, sections: 10/10" in err
    assert out.startswith("a/page.html (")
    text = Path("a/page.html").read_bytes()
    names = {path.name for path in Path("figures").iterdir()}
    stems = {name.partition(".")[0] for name in names}
    assert stems == set(sections.FIGURES) - {"runs", "ipc"}
    assert names == {f"{stem}.{form}" for stem in stems for form in ("svg", "pdf", "png")}
    for path in Path("figures").iterdir():
        assert output.MARK.encode() in path.read_bytes()
    with Image.open("figures/images.png") as image:
        assert image.size[0] > 300
    assert Path("figures/map.pdf").read_bytes().startswith(b"%PDF-")
    assert b"digits-ipc2" in text


@pytest.mark.slow
def test_a_figure_has_the_format_of_its_name(call: Call, store: Path) -> None:
    for name in ("fig.png", "fig.svg", "fig.pdf", "fig.svg"):  # what an earlier call wrote is replaced
        assert call("figure", "images", "--out", name)[:2] == (0, f"{name}\n")
    assert ">UVLP, " in Path("fig.svg").read_text(encoding="utf-8")
    assert ">nine<" in Path("fig.svg").read_text(encoding="utf-8")
    with Image.open("fig.png") as image:
        assert image.format == "PNG"


def refused(call: Call, *words: str) -> str:
    """The one line of a refused call, which leaves nothing behind."""
    before = sorted(path.name for path in Path().rglob("*"))
    code, out, err = call(*words)
    assert code == 2 and not out and len(err.splitlines()) == 1, err
    assert sorted(path.name for path in Path().rglob("*")) == before
    return err


def test_an_unknown_run_is_named_with_the_nearest(call: Call, store: Path) -> None:
    assert "did you mean 'digits-ipc2'?" in refused(call, "report", "digit-ipc2")
    assert "did you mean 'digits-ipc2'?" in refused(call, "figure", "cost", "digits-ipc3")
    with pytest.raises(UvlpError) as error:
        chosen(["nette-idc"], Store(store))
    assert error.value.got == "nette-idc" and error.value.allowed == "digits-ipc2"


def test_an_unknown_figure_is_named_with_the_nearest(call: Call, store: Path) -> None:
    assert "did you mean 'images'?" in refused(call, "figure", "image")
    with pytest.raises(UvlpError) as error:
        sections.check_figure("image")
    assert error.value.got == "image" and "accuracy" in str(error.value.allowed)


def test_a_store_without_a_finished_run_is_refused(call: Call, store: Path) -> None:
    shutil.rmtree(store / "tables")
    assert "re-run the command that was interrupted" in refused(call, "report")
    with pytest.raises(UvlpError) as error:
        chosen([], Store(store))
    assert "artifacts of unfinished ones" in error.value.what and error.value.got == str(store)
    shutil.rmtree(store)
    assert "no run in the store" in refused(call, "report")


def test_a_damaged_artifact_is_named(call: Call, store: Path) -> None:
    image = next((store / "distilled").glob("*/train/4/00001.png"))
    image.write_bytes(b"damaged")
    err = refused(call, "report")
    assert "train/4/00001.png is missing or changed" in err and "--force" in err


@pytest.mark.parametrize(
    "command", [("report", "--out", "mine.html"), ("figure", "cost", "--out", "mine.svg")]
)
def test_a_file_of_somebody_else_is_kept(call: Call, store: Path, command: tuple[str, ...]) -> None:
    path = Path(command[-1])
    path.write_text("mine", encoding="utf-8")
    assert "did not write" in refused(call, *command)
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_figure_of_somebody_else_is_kept(call: Call, store: Path) -> None:
    Path("figures").mkdir()
    Path("figures/map.png").write_bytes(b"mine")
    assert "did not write" in refused(call, "report", "--figures", "figures")
    assert Path("figures/map.png").read_bytes() == b"mine" and not Path("report.html").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--out", "folder.html"),
        ("report", "--out", "page.txt"),
        ("report", "--out", ""),
        ("report", "--out", "/proc/page.html"),
        ("report", "--figures", "file"),
        ("report", "--figures", ""),
        ("figure", "cost", "--out", "fig.gif"),
        ("figure", "ipc"),
    ],
)
def test_targets_that_cannot_be_written_are_refused(call: Call, store: Path, words: tuple[str, ...]) -> None:
    Path("folder.html").mkdir()
    Path("file").write_text("", encoding="utf-8")
    refused(call, *words)
