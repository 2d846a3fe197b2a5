"""A pinned commit belongs to its repository: another repository uses the local or newest commit."""

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


def with_model(kind: str, value: str = "") -> ModelSettings:
    """Return the settings after `--set models.KIND=...`."""
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
    assert getattr(with_model(kind), f"{kind}_revision") == ""
    assert with_model(kind, getattr(default, kind)) == default
    own = replace(default, **{kind: OTHERS[kind], f"{kind}_revision": commit("7")})
    assert getattr(own, f"{kind}_revision") == commit("7"), "a set revision is kept"
    for other in OTHERS.keys() - {kind}:
        revision = f"{other}_revision"
        assert getattr(with_model(kind), revision) == getattr(default, revision)


@pytest.mark.parametrize("kind", sorted(OTHERS))
@pytest.mark.parametrize("branch", ["main", ""])
def test_a_complete_copy_in_the_cache_is_read_and_recorded(
    kind: str, branch: str, originals: dict[str, Path], home: Path, cache: Path
) -> None:
    """With a branch, and without one, as after downloading a single commit."""
    snapshot = placed(home, originals, kind, "5", branch)
    assert find.needed(with_model(kind), [kind]) == {}
    found = find.find(with_model(kind), kind, cache)
    assert (found.path, found.revision) == (str(snapshot), commit("5"))
    recorded = json.loads((home / "uvlp_revisions.json").read_text())
    assert recorded == {OTHERS[kind].removeprefix("hf-hub:"): commit("5")}


def test_a_complete_copy_is_read_although_the_branch_has_moved(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    """The hub's library moves the branch when it fetches a single file."""
    placed(home, originals, "diffusion", "5")
    moved = placed(home, originals, "diffusion", "6")
    for part in ("unet", "vae"):
        shutil.rmtree(moved / part)
    for part in ("diffusion", "autoencoder"):
        assert find.find(with_model("diffusion"), part, cache).revision == commit("5"), part


def test_several_complete_copies_are_named(originals: dict[str, Path], home: Path, cache: Path) -> None:
    for digit in "56":
        placed(home, originals, "llava", digit, branch="")
    error = refusal(with_model("llava"), "llava", cache)
    assert error.got == f"{commit('5')}, {commit('6')}"
    assert str(error.fix).endswith(f"--set models.llava_revision={commit('5')}")
    assert find.find(replace(with_model("llava"), llava_revision=commit("6")), "llava", cache)


def test_the_suggested_command_fetches_the_model(
    hub: Hub, originals: dict[str, Path], home: Path, cache: Path
) -> None:
    for kind, digit in (("diffusion", "5"), ("llava", "6")):
        hub.folders[OTHERS[kind], commit(digit)] = originals[kind]
        hub.newest[OTHERS[kind]] = commit(digit)
        error = refusal(with_model(kind), kind, cache)
        assert error.fix is not None
        assert f"`uvlp fetch {kind} --set models.{kind}={OTHERS[kind]}`" in error.fix
        find.fetch(with_model(kind), [kind], Progress())
        assert find.find(with_model(kind), kind, cache).revision == commit(digit)
    assert set(json.loads((home / "uvlp_revisions.json").read_text()).values()) == {commit("5"), commit("6")}


def test_a_folder_has_no_commit(originals: dict[str, Path], cache: Path) -> None:
    models = with_model("llava", str(originals["llava"]))
    assert find.find(models, "llava", cache).revision == ""
    error = refusal(replace(models, llava_revision=commit("5")), "llava", cache)
    assert error.what.startswith("models.llava_revision ")


def test_a_record_or_branch_without_a_commit_is_ignored(
    originals: dict[str, Path], home: Path, cache: Path
) -> None:
    snapshot = placed(home, originals, "diffusion", "5")
    (snapshot.parents[1] / "refs" / "main").write_text("../..")
    (home / "uvlp_revisions.json").write_text('{"someone/sd": ["x"]}')
    assert find.find(with_model("diffusion"), "diffusion", cache).revision == commit("5")


def test_an_unrecorded_commit_is_reported_once(
    originals: dict[str, Path], home: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after copying a cache without its record."""
    placed(home, originals, "diffusion", "5")
    for part in ("diffusion", "autoencoder"):
        assert find.find(with_model("diffusion"), part, cache).revision == commit("5"), part
    output = capsys.readouterr().err
    assert output.count("note   ") == 1
    assert "someone/sd" in output and commit("5") in output and str(home / "uvlp_revisions.json") in output
    assert find.find(with_model("diffusion"), "diffusion", cache)
    assert capsys.readouterr().err == "", "it is recorded now"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b'{"someone/sd": "x", "someone/sd": "x"}'])
def test_an_unreadable_record_is_reported_once(
    content: bytes, originals: dict[str, Path], home: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(home, originals, "diffusion", "5")
    (home / "uvlp_revisions.json").write_bytes(content)
    for _ in range(2):
        assert find.needed(with_model("diffusion"), ["diffusion"]) == {}
    output = capsys.readouterr().err
    assert output.count("note   ") == 1 and f"{home / 'uvlp_revisions.json'} cannot be read" in output
    assert find.find(with_model("diffusion"), "diffusion", cache).revision == commit("5")
    assert capsys.readouterr().err.count("note   ") == 1, "the commit that is used instead"
    assert json.loads((home / "uvlp_revisions.json").read_text()) == {"someone/sd": commit("5")}


def test_a_fetched_commit_is_recorded_without_a_note(
    hub: Hub, originals: dict[str, Path], home: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.folders[OTHERS["llava"], commit("5")] = originals["llava"]
    hub.newest[OTHERS["llava"]] = commit("5")
    find.fetch(with_model("llava"), ["llava"], Progress())
    assert find.find(with_model("llava"), "llava", cache).revision == commit("5")
    assert capsys.readouterr().err == ""
