"""An export is uploaded as one commit; refusals leave the folder and the repository as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests import fake_hub
from tests.exchange.sets import put_score, put_set
from tests.fake_hub import Hub
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.exchange import hub_fetch
from uvlp.exchange.export_folder import export
from uvlp.exchange.export_sets import find
from uvlp.exchange.hub_push import check_repository, push

REPOSITORY = "me/bugs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store, task = put_set(tmp_path / "store")
    put_score(store, task, 1)
    return export(find("uvlp", store), store, tmp_path / "out", REPOSITORY, Progress()).folder


def refused(folder: Path) -> UvlpError:
    before = contents(folder)
    with pytest.raises(UvlpError) as caught:
        push(folder, REPOSITORY, Progress())
    assert contents(folder) == before and caught.value.exit_code == 2
    return caught.value


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_all_files_are_one_commit_of_a_private_repository(folder: Path, hub: Hub) -> None:
    commit = push(folder, REPOSITORY, Progress())
    assert [(one["name"], one["organization"], one["type"]) for one in hub.created] == [
        ("bugs", "me", "dataset")
    ]
    assert hub.created[0].get("private") is True or hub.created[0].get("visibility") == "private"
    published = contents(hub.folders[f"datasets/{REPOSITORY}", commit])
    assert published.pop(".gitattributes") and published == contents(folder)
    assert "hf://me/bugs@main" in published["README.md"].decode()
    assert push(folder, REPOSITORY, Progress()) == commit, "nothing new, no new commit"


def test_a_later_export_replaces_an_earlier_one(folder: Path, hub: Hub, tmp_path: Path) -> None:
    first = push(folder, REPOSITORY, Progress())
    store, _ = put_set(tmp_path / "store", ipc=1, method="random")
    other = export(find("random", store), store, tmp_path / "other", REPOSITORY, Progress()).folder
    second = push(other, REPOSITORY, Progress())
    published = contents(hub.folders[f"datasets/{REPOSITORY}", second])
    published.pop(".gitattributes")
    assert published == contents(other) and (f"datasets/{REPOSITORY}", first) in hub.folders


def test_files_of_others_are_not_touched(folder: Path, hub: Hub, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "data").mkdir(parents=True)
    (theirs / "data" / "table.parquet").write_bytes(b"x")
    hub.folders[f"datasets/{REPOSITORY}", "a" * 40] = theirs
    hub.newest[f"datasets/{REPOSITORY}"] = "a" * 40
    error = refused(folder)
    assert error.got == "data/table.parquet" and hub.newest[f"datasets/{REPOSITORY}"] == "a" * 40


def test_without_a_token_nothing_is_sent(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    error = refused(folder)
    assert "no token" in error.what and "HF_TOKEN" in str(error.fix) and not hub.created


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_reported(status: int, folder: Path, hub: Hub) -> None:
    hub.refuse[f"datasets/{REPOSITORY}"] = status, ""
    error = refused(folder)
    assert hub.address in error.what and error.got == f"{REPOSITORY}, status {status}"


def test_other_failures_are_reported(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.page = b"<!DOCTYPE html><html>log in</html>"
    assert "log-in page" in refused(folder).what
    fake_hub.live_in(folder.parent / "home", monkeypatch)
    assert "no connection" in refused(folder).what
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline" in refused(folder).what


@pytest.mark.parametrize("name", ["", "bugs", "me/bugs/more", "me /bugs", "hf://me/bugs", "me/" + "x" * 95])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(UvlpError) as caught:
        check_repository(name)
    assert caught.value.got == name


def test_what_is_published_can_be_fetched(folder: Path, hub: Hub, tmp_path: Path) -> None:
    commit = push(folder, REPOSITORY, Progress())
    got = hub_fetch.fetch(f"hf://{REPOSITORY}@main", offline=False)
    assert got.commit == commit and got.address == f"hf://{REPOSITORY}@{commit}"
    assert got.labels == {"ant": 0, "bee": 1, "cow": 2} and got.dataset == "folder"
    for path in (folder / "train").rglob("*.png"):
        assert (got.folder / path.relative_to(folder)).read_bytes() == path.read_bytes()
    manifest = json.loads((got.folder / "uvlp_export.json").read_text(encoding="utf-8"))
    assert got.content_hash == manifest["dataset"]["content_hash"]
    assert Store(tmp_path / "store").root.is_dir()
