"""A pinned commit belongs to its repository: another one is read at the commit here, or its newest."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import fake_hub
from tests.fake_hub import Hub, commit
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.models.published import find
from uvlp.recipes.overrides import apply
from uvlp.recipes.schema import ModelSettings

OTHERS = {"diffusion": "someone/sd", "llava": "someone/llava", "clip": "hf-hub:someone/clip"}


def named(kind: str, value: str = "") -> ModelSettings:
    """As `--set models.KIND=...` does."""
    models: Any = apply(ModelSettings(), kind, value or OTHERS[kind])
    assert isinstance(models, ModelSettings)
    return models


def placed(home: Path, originals: dict[str, Path], kind: str, digit: str, branch: str = "main") -> Path:
    repository = OTHERS[kind].removeprefix("hf-hub:")
    return fake_hub.place(home / "hub", repository, commit(digit), originals[kind], branch)


def refusal(models: ModelSettings, part: str, cache: Path) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        find.find(models, part, cache)
    return caught.value


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_another_repository_has_another_pin(kind: str) -> None:
    default = ModelSettings()
    assert getattr(named(kind), f"{kind}_revision") == ""
    assert named(kind, getattr(default, kind)) == default
    own = replace(default, **{kind: OTHERS[kind], f"{kind}_revision": commit("7")})
    assert getattr(own, f"{kind}_revision") == commit("7"), "what was asked for stays"
    for other in OTHERS.keys() - {kind}:
        revision = f"{other}_revision"
        assert getattr(named(kind), revision) == getattr(default, revision)


@pytest.mark.parametrize("kind", sorted(OTHERS))
@pytest.mark.parametrize("branch", ["main", ""])
def test_a_whole_copy_in_the_cache_is_read_and_recorded(
    kind: str, branch: str, originals: dict[str, Path], home: Path, cache: Path
) -> None:
    """With a branch that names it, and as a transfer of one commit leaves it, without."""
    snapshot = placed(home, originals, kind, "5", branch)
    assert find.needed(named(kind), [kind]) == {}
    found = find.find(named(kind), kind, cache)
    assert (found.place, found.revision) == (str(snapshot), commit("5"))
    recorded = json.loads((home / "uvlp_revisions.json").read_text())
    assert recorded == {OTHERS[kind].removeprefix("hf-hub:"): commit("5")}


def test_a_branch_that_has_moved_on_does_not_hide_the_whole_copy(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    """The hub's library moves the branch when it looks at a single file."""
    placed(home, originals, "diffusion", "5")
    moved = placed(home, originals, "diffusion", "6")
    for part in ("unet", "vae"):
        shutil.rmtree(moved / part)
    for part in ("diffusion", "autoencoder"):
        assert find.find(named("diffusion"), part, cache).revision == commit("5"), part


def test_several_whole_copies_are_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    for digit in "56":
        placed(home, originals, "llava", digit, branch="")
    error = refusal(named("llava"), "llava", cache)
    assert error.got == f"{commit('5')}, {commit('6')}"
    assert error.fix == f"say which: --set models.llava_revision={commit('5')}"
    assert find.find(replace(named("llava"), llava_revision=commit("6")), "llava", cache)


def test_the_suggested_command_fetches_it(
    hub: Hub, originals: dict[str, Path], home: Path, cache: Path
) -> None:
    for kind, digit in (("diffusion", "5"), ("llava", "6")):
        hub.folders[OTHERS[kind], commit(digit)] = originals[kind]
        hub.newest[OTHERS[kind]] = commit(digit)
        error = refusal(named(kind), kind, cache)
        assert error.fix is not None
        assert f"`uvlp fetch {kind} --set models.{kind}={OTHERS[kind]}`" in error.fix
        find.fetch(named(kind), [kind], Progress())
        assert find.find(named(kind), kind, cache).revision == commit(digit)
    assert set(json.loads((home / "uvlp_revisions.json").read_text()).values()) == {commit("5"), commit("6")}


def test_a_folder_has_no_commit(originals: dict[str, Path], cache: Path) -> None:
    models = named("llava", str(originals["llava"]))
    assert find.find(models, "llava", cache).revision == ""
    error = refusal(replace(models, llava_revision=commit("5")), "llava", cache)
    assert error.what == "models.llava_revision says nothing of a folder"


def test_a_record_or_branch_that_names_no_commit_counts_as_none(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    snapshot = placed(home, originals, "diffusion", "5")
    (snapshot.parents[1] / "refs" / "main").write_text("../..")
    (home / "uvlp_revisions.json").write_text('{"someone/sd": ["x"]}')
    assert find.find(named("diffusion"), "diffusion", cache).revision == commit("5")


def test_a_commit_that_nothing_recorded_is_said_once(
    originals: dict[str, Path], home: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a copy of somebody's files without the record beside them."""
    placed(home, originals, "diffusion", "5")
    for part in ("diffusion", "autoencoder"):
        assert find.find(named("diffusion"), part, cache).revision == commit("5"), part
    said = capsys.readouterr().err
    assert said.count("note   ") == 1
    assert "someone/sd" in said and commit("5") in said and str(home / "uvlp_revisions.json") in said
    assert find.find(named("diffusion"), "diffusion", cache)
    assert capsys.readouterr().err == "", "it is recorded now"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"someone/sd": "x", "someone/sd": "x"}'])
def test_a_record_that_cannot_be_read_is_said_once(
    content: bytes, originals: dict[str, Path], home: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(home, originals, "diffusion", "5")
    (home / "uvlp_revisions.json").write_bytes(content)
    for _ in range(2):
        assert find.needed(named("diffusion"), ["diffusion"]) == {}
    said = capsys.readouterr().err
    assert said.count("note   ") == 1 and f"{home / 'uvlp_revisions.json'} cannot be read" in said
    assert find.find(named("diffusion"), "diffusion", cache).revision == commit("5")
    assert capsys.readouterr().err.count("note   ") == 1, "what is read in its place"
    assert json.loads((home / "uvlp_revisions.json").read_text()) == {"someone/sd": commit("5")}


def test_what_a_fetch_records_needs_no_line(
    hub: Hub, originals: dict[str, Path], home: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.folders[OTHERS["llava"], commit("5")] = originals["llava"]
    hub.newest[OTHERS["llava"]] = commit("5")
    find.fetch(named("llava"), ["llava"], Progress())
    assert find.find(named("llava"), "llava", cache).revision == commit("5")
    assert capsys.readouterr().err == ""
