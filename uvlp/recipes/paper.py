"""Common parts of the recipes of published datasets: profile sd15, with the settings of the papers' code.

Letters refer to sections of `paper_tables/spec/methods.md`, numbers to those of `evaluation.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uvlp.recipes.evaluation import RdedSettings, TeacherSettings
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, Recipe

IMAGE_PX = 512  # resolution of Stable Diffusion 1.5 and the methods (A.1, B.3)
SEEDS = (0,)  # UVLP's notebook (A.15); VLCP uses 0, 1 and 2 (B.2): --seed 0,1,2
REPEATS = 3  # evaluation.md 1.1, 1.9
METHODS = ("random", "d4m", "vlcp", "uvlp")  # columns of the papers' tables that are implemented
VLCP_SAVED_PX = 256  # B.6; 224 for ImageNet-1K, 64 for Tiny-ImageNet, 32 for CIFAR
D4M_SAVED_PX = 224  # C
VLCP_RDED_EPOCHS = 500  # evaluation.md 3.1
SRE2L_BY_SIDE: Mapping[int, Mapping[str, Any]] = {
    # The SRe2L repository's scripts for CIFAR-100, which rolls only, and for Tiny-ImageNet.
    32: {"iterations": 1000, "crop_scale": 1.0, "flip": False},
    64: {"lr": 0.1, "statistics": 1.0},
}
FACTOR_2_PX = 224  # RDED's own scripts: mosaics of 2 x 2 crops at this size, one crop below (3.1)
TORCHVISION_RESNET18_PCT = 69.76  # torchvision's figure for ResNet18_Weights.IMAGENET1K_V1


def minimax_recipe(
    dataset: str,
    ipc: int,
    *,
    methods: tuple[str, ...] = METHODS,
    networks: tuple[str, ...] = ("resnet-ap-10",),
    missing_captions: str = "stop",
) -> Recipe:
    """Return the recipe of a dataset scored with hard labels (evaluation.md 1, all values are defaults)."""
    return _recipe(
        dataset,
        ipc,
        methods=methods,
        networks=networks,
        protocol="minimax",
        caption=_captions(missing_captions),
        # For --protocol rded: RDED's settings for the ImageNet subsets (evaluation.md 3.1).
        rded=RdedSettings(factor=2),
        method=_methods(VLCP_SAVED_PX),
    )


def rded_recipe(
    dataset: str,
    ipc: int,
    *,
    size_px: int,
    factor: int,
    teacher: TeacherSettings,
    vlcp_saved_px: int,
    vlcp: Mapping[str, Any] | None = None,
    finetune: FinetuneSettings | None = None,
) -> Recipe:
    """Return the recipe of a dataset scored with soft labels; student and teacher share a network (3.1)."""
    return _recipe(
        dataset,
        ipc,
        methods=METHODS,
        networks=(teacher.network,),
        protocol="rded",
        caption=_captions("stop"),
        finetune=finetune or FinetuneSettings(),
        rded=RdedSettings(size_px=size_px, epochs=VLCP_RDED_EPOCHS, factor=factor),
        teacher=teacher,
        method={**_methods(vlcp_saved_px, vlcp), **_soft_labelled(teacher.network, size_px)},
    )


def _soft_labelled(teacher: str, size_px: int) -> dict[str, dict[str, Any]]:
    """Return the settings of methods that read the teacher whose labels their students learn."""
    factor = {} if size_px >= FACTOR_2_PX else {"factor": 1}
    return {
        "rded": {"teacher": teacher, **factor},
        "sre2l": {"teacher": teacher, **SRE2L_BY_SIDE.get(size_px, {})},
    }


def _recipe(dataset: str, ipc: int, **own: Any) -> Recipe:
    """Return a recipe with the fields common to both protocols, and the given ones."""
    return Recipe(
        dataset=dataset,
        ipc=ipc,
        profile="sd15",
        pretrained=True,
        image_px=IMAGE_PX,
        seeds=SEEDS,
        repeats=REPEATS,
        synthesis={"batch": 0},  # as many as fit in memory
        **own,
    )


def _captions(missing: str) -> CaptionSettings:
    """Use the dataset's metadata.jsonl if there is one, else LLaVA-1.5 as the authors did (B.1)."""
    return CaptionSettings(captioner="auto", missing=missing)


def _methods(vlcp_saved_px: int, vlcp: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the settings in which the papers' code differs from the methods' defaults."""
    return {
        "random": {"select": "first"},  # evaluation.md 1.3, 5
        "herding": {"features": "network"},  # evaluation.md 5
        "k-center": {"features": "network"},
        # Images are visited in the shuffled order of the reference's data loader (A.1, B.3).
        "d4m": {"order": "published", "synthesis": {"size_px": D4M_SAVED_PX}},
        "vlcp": {"order": "published", **(vlcp or {}), "synthesis": {"size_px": vlcp_saved_px}},
        # One constant noise stream (A.12); saved as decoded, 512 px (A.13).
        "uvlp": {"order": "published", "synthesis": {"noise": "published"}},
    }
