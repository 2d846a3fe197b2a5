"""ImageNet's datasets: download, and errors where it is impossible."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from tests.datasets.files.file_server import FileServer, serving
from tests.datasets.published import fill, opened, refusal
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_lists import wordnet_classes
from uvlp.datasets.files.named_sets import ILSVRC_LAYOUT

NETTE = [entry.id for entry in wordnet_classes("imagenette")]

WOOF = [entry.id for entry in wordnet_classes("imagewoof")]

ILSVRC_SETS = ("imageidc", "imagenet100", "imagenet1k")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as state:
        yield state


def serve_archive(server: FileServer, module: ModuleType, ids: list[str], tmp_path: Path) -> None:
    """Serve a small archive of the dataset."""
    folder = fill(tmp_path / "source", ids)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        file.add(folder, module.SET.archive.folder)
    server.files[module.SET.archive.name] = buffer.getvalue()


@pytest.mark.parametrize(("name", "ids"), [("imagenette", NETTE), ("imagewoof", WOOF)])
def test_fetch_then_open(
    name: str,
    ids: list[str],
    server: FileServer,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = plugins.load("datasets", name)
    serve_archive(server, module, ids, tmp_path)
    spec = DatasetSpec(name=name, data=str(tmp_path / "data"))
    before = module.download(spec)
    assert before.urls == (f"https://s3.amazonaws.com/fast-ai-imageclas/{name}2.tgz",)
    assert before.bytes > 1.3e9 and before.disk_bytes > 2.6e9
    content = server.files[module.SET.archive.name]
    own = replace(
        module.SET.archive,
        url=f"{server.url}/{name}2.tgz",
        md5=hashlib.md5(content).hexdigest() if module.SET.archive.md5 else "",
    )
    monkeypatch.setattr(module, "SET", replace(module.SET, archive=own))
    server.breaks = [500]
    for _ in range(2):
        module.fetch(spec, Progress())
    assert server.requests == [None, "bytes=500-"]
    assert module.download(spec) is None
    assert opened(name, tmp_path / "data", cache).manifest.count("train") == 20


def test_an_existing_folder_without_the_dataset_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "imagenette2").mkdir()
    module = plugins.load("datasets", "imagenette")
    with pytest.raises(UvlpError) as caught:
        module.fetch(DatasetSpec(name="imagenette", data=str(tmp_path)), Progress())
    assert caught.value.got == str(tmp_path / "imagenette2")


def test_the_hash_of_imagenette_is_torchvisions() -> None:
    from torchvision.datasets import Imagenette

    archive = plugins.load("datasets", "imagenette").SET.archive
    assert Imagenette._ARCHIVES["full"] == (archive.url, archive.md5)


@pytest.mark.parametrize(
    ("name", "variant"), [*((name, "") for name in ILSVRC_SETS), ("imagenette", "ilsvrc")]
)
def test_ilsvrc_cannot_be_downloaded_and_the_layout_is_stated(
    name: str, variant: str, tmp_path: Path, cache: Path
) -> None:
    assert refusal(name, tmp_path, cache, variant).allowed == ILSVRC_LAYOUT
    module, spec = plugins.load("datasets", name), DatasetSpec(name=name, data=str(tmp_path), variant=variant)
    assert module.download(spec) is None
    with pytest.raises(UvlpError) as caught:
        module.fetch(spec, Progress())
    assert caught.value.allowed == ILSVRC_LAYOUT
    fill(tmp_path, ["n01440764"])
    module.fetch(spec, Progress())
