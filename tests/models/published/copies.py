"""The repositories of the fake hub, and functions to change copies of their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import fake_hub
from tests.fake_hub import commit
from uvlp.core.errors import UvlpError
from uvlp.recipes.schema import ModelSettings

REPOSITORIES = {"diffusion": "some/sd", "clip": "some/clip.openai", "llava": "some/llava", "dit": "some/dit"}
HUB = ModelSettings(
    diffusion="some/sd",
    diffusion_revision=commit("a"),
    clip="hf-hub:some/clip.openai",
    clip_revision="",
    llava="some/llava",
    llava_revision=commit("c"),
    dit="some/dit",
    dit_revision=commit("d"),
)
REVISIONS = {"diffusion": commit("a"), "clip": commit("b"), "llava": commit("c"), "dit": commit("d")}
KINDS = sorted(REPOSITORIES)


def local(copies: dict[str, Path]) -> ModelSettings:
    return ModelSettings(
        diffusion=str(copies["diffusion"]),
        clip=f"local-dir:{copies['clip']}",
        llava=str(copies["llava"]),
        dit=str(copies["dit"]),
    )


def fill(home: Path, originals: dict[str, Path]) -> None:
    for kind, repository in REPOSITORIES.items():
        fake_hub.place(home / "hub", repository, REVISIONS[kind], originals[kind])


def refused(call: Callable[[], Any]) -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value


def change(path: Path, **fields: Any) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    for name, new in fields.items():
        if new is None:
            del value[name]
        else:
            value[name] = new
    path.write_text(json.dumps(value), encoding="utf-8")
