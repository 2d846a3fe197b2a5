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

REPOSITORIES = {
    "diffusion": "some/sd",
    "clip": "some/clip.openai",
    "llava": "some/llava",
    "dit": "some/dit",
    "stylegan_xl": "some/stylegan-xl",
}
HUB = ModelSettings(
    diffusion="some/sd",
    diffusion_revision=commit("a"),
    clip="hf-hub:some/clip.openai",
    clip_revision="",
    llava="some/llava",
    llava_revision=commit("c"),
    dit="some/dit",
    dit_revision=commit("d"),
    stylegan_xl="some/stylegan-xl",
)
REVISIONS = {kind: commit(digit) for kind, digit in zip(REPOSITORIES, "abcdf", strict=True)}
KINDS = sorted(REPOSITORIES)


def local(copies: dict[str, Path]) -> ModelSettings:
    return ModelSettings(
        diffusion=str(copies["diffusion"]),
        clip=f"local-dir:{copies['clip']}",
        llava=str(copies["llava"]),
        dit=str(copies["dit"]),
        stylegan_xl=str(copies["stylegan_xl"]),
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
