"""Recipes for estimates that can be calculated by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import Plan, outline
from uvlp.recipes.schema import CaptionSettings, Recipe

PAPER = Recipe(
    dataset="imagenette",
    ipc=10,
    profile="sd15",
    pretrained=True,
    image_px=512,
    methods=("random", "uvlp", "full"),
    networks=("resnet-ap-10",),
    seeds=(0, 1, 2),
    repeats=3,
    caption=CaptionSettings(captioner="llava"),
)


def planned(recipe: Recipe) -> Plan:
    """Return the plan of a recipe on a new machine."""
    return outline(check(recipe))


def paper(**changes: Any) -> Recipe:
    """Return `PAPER` with some fields replaced."""
    return replace(PAPER, **changes)
