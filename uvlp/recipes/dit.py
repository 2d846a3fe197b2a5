"""Settings of the DiT: trained from scratch, and fine-tuned by DiffFit (evaluation.md 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from uvlp.recipes.setting import MOST_EPOCHS, MOST_LAYERS, PRECISIONS, WIDEST, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerSettings:
    """Training of the small DiT (every profile but sd15), which the methods `dit` and `minimax` sample."""

    depth: int = setting(4, "transformer blocks", "measured on digits", least=1, most=MOST_LAYERS)
    width: int = setting(
        64,
        "size of a token, a multiple of `heads` and of four",
        "measured on digits",
        least=4,
        most=WIDEST,
    )
    heads: int = setting(4, "attention heads", "measured on digits", least=1, most=MOST_LAYERS)
    steps: int = setting(8000, "training steps", "measured on digits", least=1)
    batch: int = setting(32, "latents per step", "measured on digits", least=1)
    lr: float = setting(5e-3, "peak learning rate (one cycle)", "measured on digits", least=0)
    ema: float = setting(
        0.99, "decay of the saved average of the weights", "measured on digits", least=0, most=1
    )
    label_drop: float = setting(
        0.1, "share of labels replaced by the null label", "evaluation.md 5.1", least=0, most=1
    )
    precision: str = setting(
        "float32",
        "dtype of the training, as in models.precision; the weights stay float32",
        choices=PRECISIONS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffFitSettings:
    """Fine-tuning of the DiT for the method `minimax` (evaluation.md 5.1): biases, labels and new scales."""

    epochs: int = setting(
        8, "passes over the training images", "evaluation.md 5.1", least=1, most=MOST_EPOCHS
    )
    steps: int = setting(0, "training steps in place of `epochs`; 0: as many as they take", least=0)
    batch: int = setting(8, "images per step", "evaluation.md 5.1", least=1)
    lr: float = setting(1e-3, "learning rate of AdamW, constant", "evaluation.md 5.1", least=0)
    ema: float = setting(
        0.9999, "decay of the saved average of the weights", "evaluation.md 5.1", least=0, most=1
    )
    random_flip: bool = setting(True, "mirror every image with probability one half", "evaluation.md 5.1")
    representativeness: float = setting(
        0.002, "weight of the distance to real latents", "evaluation.md 5.1", least=0
    )
    diversity: float = setting(
        0.008, "weight of the similarity of predicted latents", "evaluation.md 5.1", least=0
    )
    memory: int = setting(
        64, "latents per class with which a batch is compared", "evaluation.md 5.1", least=1
    )
    precision: str = setting(
        "float32",
        "dtype of the training, as in models.precision; the weights stay float32",
        "evaluation.md 5.1",
        choices=PRECISIONS,
    )
