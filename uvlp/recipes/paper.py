"""What the recipes of the published datasets share: profile sd15, settings as the papers' code has them.

Sections A to E are those of `paper_tables/spec/methods.md`, numbers those of `evaluation.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uvlp.recipes.evaluation import RdedSettings, TeacherSettings
from uvlp.recipes.schema import CaptionSettings, FinetuneSettings, Recipe

IMAGE_PX = 512  # what Stable Diffusion 1.5 and the methods work at (A.1, B.3)
SEEDS = (0,)  # UVLP's notebook (A.15); VLCP runs 0, 1 and 2 (B.2): --seed 0,1,2
REPEATS = 3  # evaluation.md 1.1, 1.9
METHODS = ("random", "d4m", "vlcp", "uvlp")  # columns of the papers' tables that are built here
VLCP_SAVED_PX = 256  # B.6; 224 for ImageNet-1K, 64 for Tiny-ImageNet, 32 for CIFAR
D4M_SAVED_PX = 224  # C
VLCP_RDED_EPOCHS = 500  # evaluation.md 3.1
TORCHVISION_RESNET18_PCT = 69.76  # torchvision's own figure for ResNet18_Weights.IMAGENET1K_V1


def minimax_recipe(
    dataset: str,
    ipc: int,
    *,
    methods: tuple[str, ...] = METHODS,
    networks: tuple[str, ...] = ("resnet-ap-10",),
    missing_captions: str = "stop",
) -> Recipe:
    """A set that the papers score with hard labels (evaluation.md 1, all of whose values are defaults)."""
    return _recipe(
        dataset,
        ipc,
        methods=methods,
        networks=networks,
        protocol="minimax",
        caption=_captions(missing_captions),
        # RDED's own settings of the ImageNet subsets (evaluation.md 3.1), with --protocol rded.
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
    """A set that VLCP scores with soft labels; student and teacher have one architecture (3.1)."""
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
        method=_methods(vlcp_saved_px, vlcp),
    )


def _recipe(dataset: str, ipc: int, **own: Any) -> Recipe:
    """What both protocols have in common, and each one's own fields."""
    return Recipe(
        dataset=dataset,
        ipc=ipc,
        profile="sd15",
        pretrained=True,
        image_px=IMAGE_PX,
        seeds=SEEDS,
        repeats=REPEATS,
        synthesis={"batch": 0},  # as many as the memory holds
        **own,
    )


def _captions(missing: str) -> CaptionSettings:
    """The authors' file where the dataset has a metadata.jsonl, else LLaVA-1.5 as they used it (B.1)."""
    return CaptionSettings(captioner="auto", missing=missing)


def _methods(vlcp_saved_px: int, vlcp: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Where the papers' code differs from the methods' defaults."""
    return {
        "random": {"select": "first"},  # evaluation.md 1.3, 5
        "herding": {"features": "network"},  # evaluation.md 5
        "k-center": {"features": "network"},
        # Images are visited in the shuffled order of the reference's loader (A.1, B.3).
        "d4m": {"order": "published", "synthesis": {"size_px": D4M_SAVED_PX}},
        "vlcp": {"order": "published", **(vlcp or {}), "synthesis": {"size_px": vlcp_saved_px}},
        # One constant noise stream (A.12); saved as decoded, 512 px (A.13).
        "uvlp": {"order": "published", "synthesis": {"noise": "published"}},
    }
