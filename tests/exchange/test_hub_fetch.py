"""Published sets are pinned to a commit, checked against their hashes, and need an order of classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.exchange.sets import put_set
from tests.fake_hub import Hub, commit
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.exchange import hub_fetch
from uvlp.exchange.export_folder import export
from uvlp.exchange.export_sets import find
from uvlp.exchange.hub_fetch import fetch, fetch_rows, parse
from uvlp.models.published import hub as cache
from uvlp.pipeline.folders.rows import Row

ADDRESS = "hf://them/set"
REPOSITORY = "datasets/them/set"


@pytest.fixture
def published(tmp_path: Path, hub: Hub) -> Path:
    """The files of the commit aaa..., the newest one."""
    store, _ = put_set(tmp_path / "store")
    folder = export(find("uvlp", store), store, tmp_path / "published", "", Progress()).folder
    hub.folders[REPOSITORY, commit("a")] = folder
    hub.newest[REPOSITORY] = commit("a")
    return folder


def refused(address: str, *, offline: bool = False) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        fetch(address, offline=offline)
    return caught.value


@pytest.mark.parametrize("text", ["hf://a", "hf://a/b/c@main", "hf://a/b@", "hf:///b@main", "hf://a/b@x y"])
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(UvlpError) as caught:
        parse(text)
    assert caught.value.got == text and caught.value.allowed == hub_fetch.FORM


def test_a_revision_is_needed() -> None:
    with pytest.raises(UvlpError) as caught:
        parse(ADDRESS)
    assert "revision" in caught.value.what and f"{ADDRESS}@main" in str(caught.value.fix)
    assert parse("hf://datasets/them/set@v1/x").repository == "them/set"


def test_rows_name_the_commit(published: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    rows, sets = fetch_rows([Row("mine", ("folder", f"{ADDRESS}@main"))], offline=False)
    pinned = f"{ADDRESS}@{commit('a')}"
    assert rows == (Row("mine", ("folder", pinned)),) and [*sets] == [pinned]
    assert pinned in capsys.readouterr().err
    assert sets[pinned].title_path.name == "set-aaaaaaaa"


def test_a_commit_is_fetched_once(published: Path, hub: Hub) -> None:
    fetch(f"{ADDRESS}@{commit('a')}", offline=False)
    hub.folders.clear()
    hub.newest.clear()
    assert fetch(f"{ADDRESS}@{commit('a')}", offline=False).commit == commit("a")


def test_a_download_is_announced_and_has_to_fit(
    published: Path, hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("uvlp.core.files.disk_space.free_bytes", lambda folder: 1)
        error = refused(f"{ADDRESS}@main")
    # The images and the contact sheet, metadata, manifest and hashes; not the card.
    assert "too small" in error.what and "fetching 10 files" in capsys.readouterr().err
    assert not hub.asked, "nothing was fetched"
    fetch(f"{ADDRESS}@main", offline=False)
    assert len(hub.asked) == 10 and "README.md" not in {name for name, _ in hub.asked}


def test_a_name_is_resolved_anew_and_offline_as_recorded(published: Path, hub: Hub, tmp_path: Path) -> None:
    assert fetch(f"{ADDRESS}@main", offline=False).commit == commit("a")
    hub.folders[REPOSITORY, commit("b")] = published
    hub.newest[REPOSITORY] = commit("b")
    assert fetch(f"{ADDRESS}@main", offline=True).commit == commit("a")
    assert fetch(f"{ADDRESS}@main", offline=False).commit == commit("b")
    assert fetch(f"{ADDRESS}@main", offline=True).commit == commit("b")
    assert fetch(f"{ADDRESS}@{commit('a')}", offline=True).commit == commit("a")


def test_offline_an_unknown_set_is_refused(hub: Hub) -> None:
    for revision in ("main", commit("a")):
        error = refused(f"{ADDRESS}@{revision}", offline=True)
        assert error.got == f"{ADDRESS}@{revision}" and "network" in str(error.fix)


def test_no_such_repository_or_revision(published: Path, hub: Hub) -> None:
    assert "no such repository" in refused("hf://them/other@main").what
    assert refused(f"{ADDRESS}@v9").got == "v9"


def test_files_that_are_not_as_published_are_refused(published: Path, hub: Hub) -> None:
    image = published / "train" / "bee" / "00000.png"
    image.write_bytes((published / "train" / "ant" / "00000.png").read_bytes())
    error = refused(f"{ADDRESS}@main")
    assert error.got == "train/bee/00000.png" and "SHA256SUMS" in error.what


def test_a_copy_that_was_damaged_later_is_refused(published: Path, hub: Hub) -> None:
    there = fetch(f"{ADDRESS}@main", offline=False).folder
    (there / "train" / "cow" / "00001.png").unlink()
    assert refused(f"{ADDRESS}@main", offline=True).got == "train/cow/00001.png"


def test_a_set_without_an_order_of_classes_is_refused(published: Path, hub: Hub) -> None:
    for name in ("SHA256SUMS", "uvlp_export.json", "train/metadata.jsonl"):
        (published / name).unlink()
    error = refused(f"{ADDRESS}@main")
    assert "order of its classes" in error.what and "metadata.jsonl" in str(error.allowed)


@pytest.mark.parametrize(
    "row", ['{"file_name": "ant/00000.png"}', '{"file_name": "x.png", "label": 0}', "{", "[]"]
)
def test_rows_without_labels_are_refused(row: str, published: Path, hub: Hub) -> None:
    (published / "SHA256SUMS").unlink()
    metadata = published / "train" / "metadata.jsonl"
    metadata.write_text(metadata.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
    assert refused(f"{ADDRESS}@main").got == "train/metadata.jsonl, line 7"


def test_a_folder_with_two_labels_is_refused(published: Path, hub: Hub) -> None:
    (published / "SHA256SUMS").unlink()
    metadata = published / "train" / "metadata.jsonl"
    rows = [json.loads(line) for line in metadata.read_text(encoding="utf-8").splitlines()]
    rows[1]["label"] = 2
    metadata.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert refused(f"{ADDRESS}@main").got == "train/metadata.jsonl, line 2"


def test_sets_of_others_need_only_metadata(published: Path, hub: Hub) -> None:
    metadata = (published / "train" / "metadata.jsonl").read_text(encoding="utf-8")
    (published / "metadata.jsonl").write_text(metadata.replace('"file_name": "', '"file_name": "train/'))
    for name in ("SHA256SUMS", "uvlp_export.json", "train/metadata.jsonl"):
        (published / name).unlink()
    got = fetch(f"{ADDRESS}@main", offline=False)
    assert got.labels == {"ant": 0, "bee": 1, "cow": 2} and got.dataset == ""


def test_an_interrupted_fetch_is_completed(
    published: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{ADDRESS}@{commit('a')}"

    def interrupt(*_: str) -> None:
        (cache.snapshot(REPOSITORY, commit("a")) / "train" / "ant" / "00000.png").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache, "remember", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(address, offline=False)
    assert refused(address, offline=True).got == "train/ant/00000.png"
    assert (fetch(address, offline=False).folder / "train" / "ant" / "00000.png").is_file()


def test_a_deleted_copy_is_fetched_again(published: Path, hub: Hub) -> None:
    address = f"{ADDRESS}@{commit('a')}"
    fetch(address, offline=False)
    shutil.rmtree(cache.folder_of(REPOSITORY))
    assert refused(address, offline=True).got == address
    assert fetch(address, offline=False).commit == commit("a")
