"""The page: complete, self-contained, escaped; looked at by a browser where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from uvlp.cli.commands.report import opener
from uvlp.core.progress import Progress
from uvlp.report import page, sections
from uvlp.report.run import Run

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LOADS = {"src", "href", "data", "poster", "srcset", "action"}


class Elements(HTMLParser):
    """All elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def html(store: Path) -> str:
    """The page of the run."""
    from uvlp.artifacts.store import Store
    from uvlp.cli.commands.report import chosen

    runs = chosen([], Store(store))
    made = page.build(runs, opener(None, runs[0].store), Progress())
    return page.html(made, Progress())


def test_every_section_is_there(html: str) -> None:
    ids = [each.get("id") for tag, each in Elements(html).all if tag == "section"]
    assert len(ids) == len(sections.SECTIONS)
    links = [str(each["href"]) for tag, each in Elements(html).all if tag == "a"]
    assert {f"#{each}" for each in ids} <= set(links)


def test_nothing_is_loaded_and_nothing_runs(html: str) -> None:
    elements = Elements(html).all
    assert "script" not in {tag for tag, _ in elements} and "iframe" not in {tag for tag, _ in elements}
    for tag, attributes in elements:
        for name in LOADS & attributes.keys():
            assert re.match(r"#|data:", attributes[name] or ""), (tag, name, attributes[name])
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|url\((?!#)", html)


def test_pictures_have_alternative_texts_and_ids_are_unique(html: str) -> None:
    elements = Elements(html).all
    assert all(each.get("alt") for tag, each in elements if tag == "img")
    assert all(each.get("aria-label") for tag, each in elements if tag == "svg")
    ids = [each["id"] for _, each in elements if "id" in each]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", html))
    assert used <= set(ids)


def test_texts_of_the_store_are_escaped(html: str) -> None:
    assert "an image &lt;b&gt;of&lt;/b&gt; zero" in html and "<b>" not in html


def test_it_fits(html: str) -> None:
    assert len(html.encode()) < 3_000_000


def console(text: str, folder: Path, width: int) -> list[str]:
    """What the browser's console says of a page, and whether a picture of it was made."""
    assert CHROMIUM is not None
    path, picture = folder / "report.html", folder / "page.png"
    path.write_text(text, encoding="utf-8")
    command = [
        *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"),
        *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},2000", "--hide-scrollbars"),
        *("--no-first-run", f"--screenshot={picture}", path.as_uri()),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert ran.returncode == 0 and picture.stat().st_size > 20_000, ran.stderr
    return [line for line in ran.stderr.split("\n") if "CONSOLE" in line]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_has_nothing_to_report(html: str, width: int, tmp_path: Path) -> None:
    """Its policy forbids every request and script, and the console would name what was refused."""
    assert console(html, tmp_path, width) == []
    asking = html.replace("<body>", '<body><img src="http://example.invalid/x.png"><script>1</script>')
    assert len(console(asking, tmp_path, width)) == 2, "the console does name them"


def test_without_its_images_half_of_a_run_is_still_a_page(store: Path, tmp_path: Path) -> None:
    root = tmp_path / "store"
    for kind in ("tables", "scores", "datasets"):
        shutil.copytree(store / kind, root / kind)
    from uvlp.artifacts.store import Store
    from uvlp.cli.commands.report import chosen

    runs = chosen([], Store(root))
    made = page.build(runs, opener(None, Store(root)), Progress())
    text = page.html(made, Progress())
    assert "no longer in the store" in text and "Learning curves" in text
    assert isinstance(runs[0], Run) and runs[0].absent
