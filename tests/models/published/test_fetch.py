"""Fetch published models from a hub, despite interruptions and errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.fake_hub import Hub, commit
from tests.models.published.copies import HUB, KINDS, local, refused
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.models.published import find, layout


def test_fetched_files_are_found_without_the_network(
    hub: Hub,
    originals: dict[str, Path],
    copies: dict[str, Path],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (originals["clip"] / "open_clip_pytorch_model.bin").write_bytes(b"an unused pickle")
    events: list[Event] = []
    find.fetch(HUB, KINDS, Progress(events.append))
    (originals["clip"] / "open_clip_pytorch_model.bin").unlink()
    names = [name for name, _ in hub.asked]
    expected = [path.name for folder in originals.values() for path in folder.rglob("*") if path.is_file()]
    assert sorted(names) == sorted(expected), "every file of the layout once, no other"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert find.needed(HUB, find.PARTS) == {}
    for part in find.PARTS:
        assert find.find(HUB, part, cache).sha256 == find.find(local(copies), part, cache).sha256
    hub.asked.clear()
    find.fetch(HUB, KINDS, Progress())
    assert not hub.asked


@pytest.mark.parametrize("large", [0, 10**7])
def test_a_broken_transfer_resumes(
    large: int, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100_000)  # 10 MB: the tiny model in one piece
    monkeypatch.setattr("uvlp.models.published.hub.RESUMED_BYTES", large)
    hub.stops_after["open_clip_model.safetensors"] = 400_000
    find.fetch(HUB, ["clip"], Progress())
    starts = [start for name, start in hub.asked if name == "open_clip_model.safetensors"]
    assert len(starts) == 2 and starts[0] == 0 < starts[1] <= 400_000
    assert find.find(HUB, "clip", cache).revision == commit("b")


def test_a_killed_transfer_resumes(
    hub: Hub, home: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvlp.models.published.hub.RESUMED_BYTES", 100_000)
    hub.stalls_after["open_clip_model.safetensors"] = 400_000
    code = (
        "from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 100_000\n"
        "from uvlp.models.published import hub; hub.RESUMED_BYTES = 100_000\n"
        "from uvlp.models.published import find; from uvlp.core.progress import Progress\n"
        "from uvlp.recipes.schema import ModelSettings\n"
        f"find.fetch(ModelSettings(clip={HUB.clip!r}), ['clip'], Progress())\n"
    )
    environment = os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": hub.address}
    victim = subprocess.Popen([sys.executable, "-c", code], env=environment)
    ends = time.monotonic() + 30
    while time.monotonic() < ends and not any(
        path.stat().st_size >= 300_000 for path in home.rglob("blobs/*.incomplete")
    ):
        assert victim.poll() is None
        time.sleep(0.02)
    victim.kill()
    victim.wait()
    hub.go_on.set()
    assert list(find.needed(HUB, ["clip"])) == ["clip"]
    hub.asked.clear()
    find.fetch(HUB, ["clip"], Progress())
    starts = [start for name, start in hub.asked if name == "open_clip_model.safetensors"]
    assert len(starts) == 1 and starts[0] >= 300_000
    assert find.find(HUB, "clip", cache)


def test_the_recorded_revision_is_fetched_again(
    hub: Hub, originals: dict[str, Path], home: Path, cache: Path
) -> None:
    find.fetch(HUB, ["clip"], Progress())
    first = find.find(HUB, "clip", cache)
    shutil.rmtree(home / "hub")
    hub.folders["some/clip.openai", commit("f")] = originals["clip"]
    hub.newest["some/clip.openai"] = commit("f")
    find.fetch(HUB, ["clip"], Progress())
    assert find.find(HUB, "clip", cache) == first


@pytest.mark.parametrize(
    ("status", "code", "what"),
    [
        (401, "RepoNotFound", "no such repository"),
        (404, "RepoNotFound", "no such repository"),
        (401, "GatedRepo", "permission"),
        (403, "GatedRepo", "permission"),
        (403, "", "permission"),
    ],
)
def test_a_refused_repository_suggests_a_token(status: int, code: str, what: str, hub: Hub) -> None:
    hub.refuse["some/sd"] = status, code
    error = refused(lambda: find.fetch(HUB, ["diffusion"], Progress()))
    assert what in error.what and error.got == "some/sd" and "HF_TOKEN" in str(error.fix)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>log in</html>", b'{"error": "log in"}'])
def test_a_log_in_page_instead_of_the_hub_is_recognised(page: bytes, hub: Hub) -> None:
    hub.page = page
    with pytest.raises(UvlpError) as caught:
        find.fetch(HUB, ["diffusion"], Progress())
    assert hub.address in caught.value.what
    assert str(caught.value.got).startswith("some/sd: ")
    assert "log in" in str(caught.value.fix)


@pytest.mark.parametrize("status", [407, 511])
def test_a_network_that_requires_a_log_in_is_not_retried(status: int, hub: Hub) -> None:
    hub.refuse["some/sd"] = status, ""
    events: list[Event] = []
    error = refused(lambda: find.fetch(HUB, ["diffusion"], Progress(events.append)))
    assert "log in to the network or its proxy" in str(error.fix) and not events


def test_an_unknown_revision_is_refused(hub: Hub) -> None:
    models = replace(HUB, diffusion_revision=commit("9"))
    error = refused(lambda: find.fetch(models, ["diffusion"], Progress()))
    assert "no such revision" in error.what and error.got == commit("9")


def test_a_repository_without_safetensors_is_refused(hub: Hub, copies: dict[str, Path]) -> None:
    (copies["clip"] / "open_clip_model.safetensors").unlink()
    hub.folders["some/clip.openai", commit("b")] = copies["clip"]
    error = refused(lambda: find.fetch(HUB, ["clip"], Progress()))
    assert "open_clip_model.safetensors missing" in error.what and "safetensors" in str(error.fix)


def test_a_missing_network_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    error = refused(lambda: find.fetch(HUB, ["diffusion"], Progress()))
    assert "http://127.0.0.1:9" in error.what and "resume" in str(error.fix)


def test_an_unavailable_server_is_tried_three_times(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.refuse["some/sd"] = 503, ""
    events: list[Event] = []
    error = refused(lambda: find.fetch(HUB, ["diffusion"], Progress(events.append)))
    assert "3 times" in error.what and "503" in error.what and "resume" in str(error.fix)
    assert [event.message.rpartition("; ")[2] for event in events] == ["attempt 2 of 3", "attempt 3 of 3"]


def test_a_repository_without_any_file_of_the_model_is_refused(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "README.md").write_text("nothing here", encoding="utf-8")
    hub.folders["some/sd", commit("a")] = tmp_path / "other"
    assert "missing" in refused(lambda: find.fetch(HUB, ["diffusion"], Progress())).what


def test_the_offline_mode_of_the_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in str(refused(lambda: find.fetch(HUB, ["diffusion"], Progress())).fix)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(28, "No space left on device"), "no space left"),
        (
            RuntimeError("Data processing error: I/O error: No space left on device (os error 28)"),
            "no space left",
        ),
        (PermissionError(13, "Permission denied"), "cannot be written"),
    ],
)
def test_a_full_or_read_only_disk_is_reported(
    error: Exception, what: str, hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    refusal = refused(lambda: find.fetch(HUB, ["diffusion"], Progress()))
    assert what in refusal.what and str(home) in str(refusal.got) and "HF_HOME" in str(refusal.fix)


def test_a_folder_is_never_fetched(copies: dict[str, Path]) -> None:
    find.fetch(local(copies), find.PARTS, Progress())
    assert find.needed(local(copies), find.PARTS) == {}


def test_patterns_do_not_match_other_variants() -> None:
    from fnmatch import fnmatchcase

    patterns = layout.LAYOUTS["diffusion"].patterns()
    for name in (
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "vae/diffusion_pytorch_model.bin",
        "v1-5-pruned.safetensors",
        "safety_checker/model.safetensors",
    ):
        assert not any(fnmatchcase(name, pattern) for pattern in patterns)
