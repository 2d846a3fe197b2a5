"""`uvlp fetch` with a local hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.fake_hub import Hub, commit
from tests.pipeline.hub import MODELS, SET
from uvlp.core.errors import UvlpError
from uvlp.models.published import find
from uvlp.models.published.sizes import OPENAI
from uvlp.pipeline.downloads import disk
from uvlp.pipeline.downloads.fetching import fetch_named
from uvlp.recipes.schema import ModelSettings

pytestmark = pytest.mark.usefixtures("hub")


def refused(*arguments: Any) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        fetch_named(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value


def test_models_are_announced_downloaded_and_listed(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fetch_named("models", "", "", SET, tmp_path / "cache")
    printed = capsys.readouterr()
    announced = [line for line in printed.err.splitlines() if line.startswith("fetch ")]
    assert [line.partition(":")[0] for line in announced] == [
        "fetch  Stable Diffusion 1.5",
        "fetch  CLIP",
        "fetch  LLaVA-1.5",
    ]
    assert all("unknown size" in line and str(tmp_path / "home" / "hub") in line for line in announced)
    assert (
        printed.err.index("in total unknown size\n") < printed.err.index("begin") < printed.err.index("done")
    )
    for part, row in zip(("diffusion", "clip", "llava"), made.here, strict=True):
        assert (row["what"], row["sha256"]) == (part, find.find(MODELS, part, tmp_path).sha256)
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    again = fetch_named("models", "", "", SET, tmp_path / "cache")
    assert not again.transferred and not hub.asked and "fetch " not in capsys.readouterr().err
    assert [row["revision"] for row in again.here] == [commit(digit) for digit in "abc"]


def test_single_part_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    made = fetch_named("autoencoder", "", "", SET, tmp_path)
    assert {name for name, _ in hub.asked} == {"config.json", "diffusion_pytorch_model.safetensors"}
    assert made.transferred == ("the autoencoder of Stable Diffusion 1.5",)
    assert [row["what"] for row in made.here] == ["autoencoder"]


def test_dataset_without_download_is_listed(tmp_path: Path) -> None:
    (row,) = fetch_named("digits", "", "", [], tmp_path).here
    assert (row["what"], row["classes"], row["train"], row["val"]) == ("digits", 10, 1307, 490)
    assert len(row["sha256"]) == 64


def test_too_small_disk_is_reported_with_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 3_000_000_000)
    error = refused("models", "", "", [], tmp_path)
    assert str(error.got).startswith("3.0 GB free in ") and error.allowed == "20.1 GB or more"
    assert "HF_HOME" in str(error.fix)
    assert not hub.asked


def test_known_sizes_are_summed_with_the_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, hub: Hub
) -> None:
    for repository in (ModelSettings().diffusion, OPENAI, ModelSettings().llava):
        hub.refuse[repository] = 401, "RepoNotFound"
    refused("models", "", "", [], tmp_path)
    announced = capsys.readouterr().err
    assert "Stable Diffusion 1.5: 4.3 GB" in announced and "LLaVA-1.5: 14.1 GB" in announced
    assert "in total 20.1 GB; about 27 min at 100 Mbit/s" in announced


@pytest.mark.parametrize(
    ("target", "settings", "text"),
    [
        ("imagenete", [], "did you mean 'imagenette'"),
        ("lava", [], "did you mean 'llava'"),
        ("models", ["evaluate.epochs=3"], "evaluate.epochs=3"),
        ("models", ["models.clip"], "models.FIELD=VALUE"),
        ("models", ["models.klip=x"], "did you mean 'clip'"),
        ("models", ["models.precision=half"], "setting models.precision"),
    ],
)
def test_invalid_targets_and_settings_are_refused(
    target: str, settings: list[str], text: str, tmp_path: Path
) -> None:
    assert text in str(refused(target, "", "", settings, tmp_path))


def test_inapplicable_options_are_refused(tmp_path: Path) -> None:
    assert refused("clip", "/data", "", [], tmp_path).what.startswith("--data and --variant")
    assert refused("digits", "", "", SET, tmp_path).what.startswith("--set")
    assert refused("digits", "/data", "", [], tmp_path).what.endswith("does not support --data")
    assert refused("imagenette", "", "fastia", [], tmp_path).what.startswith("unknown variant")


def test_finished_downloads_are_kept(hub: Hub, tmp_path: Path) -> None:
    hub.refuse["some/llava"] = 401, "GatedRepo"
    text = str(refused("models", "", "", SET, tmp_path))
    assert "some/llava" in text and "HF_TOKEN" in text
    assert find.find(MODELS, "clip", tmp_path)
    hub.asked.clear()
    hub.refuse.clear()
    fetch_named("models", "", "", SET, tmp_path)
    assert "open_clip_model.safetensors" not in {name for name, _ in hub.asked}
