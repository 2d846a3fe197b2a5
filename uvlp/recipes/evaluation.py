"""Settings of the protocols and of the teacher (see `recipes/schema.py` for all others)."""

from __future__ import annotations

from dataclasses import dataclass

from uvlp.recipes.setting import ARITHMETIC, MOST_EPOCHS, MOST_VALIDATIONS, WIDEST, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """Stage `evaluate`, Minimax protocol (evaluation.md 1). Zero epochs: the rule by IPC."""

    size_px: int = setting(224, "side of the network's input", "evaluation.md 1.1", least=1, most=4096)
    norm: str = setting(
        "instance",
        "normalisation layers: instance or batch",
        "evaluation.md 2",
        choices=("instance", "batch"),
    )
    width: int = setting(
        0,
        "channels of ConvNet, or of the first stage of a ResNet; 0: 128 or 64 as published",
        "evaluation.md 2.1",
        least=0,
        most=WIDEST,
    )
    epochs: int = setting(
        0, "epochs on a distilled set; 0: by IPC", "evaluation.md 1.8", least=0, most=MOST_EPOCHS
    )
    epochs_full: int = setting(
        300,
        "epochs on the full training set, validated as often as a distilled one",
        "evaluation.md 1.8",
        least=1,
        most=MOST_EPOCHS,
    )
    validations: int = setting(
        100,
        "validation passes, the last at the last epoch",
        "evaluation.md 1.8",
        least=1,
        most=MOST_VALIDATIONS,
    )
    batch: int = setting(
        64,
        "images per step, partial batch kept; at least 128 with more than 100 classes",
        "evaluation.md 1.6",
        least=1,
    )
    lr: float = setting(
        0.01, "learning rate of SGD; 0.1 with more than 100 classes", "evaluation.md 1.8", least=0
    )
    momentum: float = setting(0.9, "momentum of SGD", "evaluation.md 1.8", least=0, most=1)
    weight_decay: float = setting(
        5e-4,
        "weight decay on every parameter; 1e-4 with more than 100 classes",
        "evaluation.md 1.8",
        least=0,
    )
    crop_scale: float = setting(
        0.5, "smallest area of the random resized crop", "evaluation.md 1.5", least=0.01, most=1
    )
    flip: float = setting(0.5, "probability of the horizontal flip", "evaluation.md 1.5", least=0, most=1)
    jitter: float = setting(0.4, "range of brightness, contrast and saturation", "evaluation.md 1.5", least=0)
    lighting: float = setting(0.1, "standard deviation of the PCA lighting", "evaluation.md 1.5", least=0)
    mix_probability: float = setting(1.0, "share of steps with CutMix", "evaluation.md 1.7", least=0, most=1)
    precision: str = setting(
        "tf32",
        "tf32 (GPU convolutions only), float32, or bfloat16 (another protocol)",
        "evaluation.md 1.8",
        choices=ARITHMETIC,
    )
    channels_last: bool = setting(False, "store feature maps channels last", "evaluation.md 1.8")
    deterministic: bool = setting(
        False, "deterministic results on a GPU too; those on a CPU always are", "evaluation.md 1.10"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RdedSettings:
    """Stage `evaluate`, RDED protocol: soft labels from a teacher (evaluation.md 3)."""

    size_px: int = setting(
        224, "side of the input of student and teacher", "evaluation.md 3.1", least=1, most=4096
    )
    epochs: int = setting(
        300, "epochs on a distilled set; VLCP uses 500", "evaluation.md 3.1", least=1, most=MOST_EPOCHS
    )
    epochs_full: int = setting(
        300, "epochs on the full training set", "ours: none is published", least=1, most=MOST_EPOCHS
    )
    validation_period: int = setting(10, "epochs between validation passes", "evaluation.md 3.5", least=1)
    validation_start: float = setting(
        0.8,
        "share of the epochs before the first validation pass; the last epoch counts",
        "evaluation.md 3.5",
        least=0,
        most=1,
    )
    batch: int = setting(0, "images per step; 0: by IPC and classes", "evaluation.md 3.1", least=0)
    accumulation: int = setting(
        1,
        "parts that a batch is split into; a remainder at an epoch's end is dropped",
        "evaluation.md 3.4",
        least=1,
    )
    optimiser: str = setting("adamw", "adamw or sgd", "evaluation.md 3.4", choices=("adamw", "sgd"))
    lr: float = setting(
        0.0,
        "learning rate; 0: by the student's architecture, 0.1 for sgd",
        "evaluation.md 3.1, 3.4",
        least=0,
    )
    weight_decay: float = setting(
        0.01, "weight decay of adamw, on layers' weights only", "evaluation.md 3.4", least=0
    )
    sgd_weight_decay: float = setting(
        1e-4, "weight decay of sgd, on layers' weights only", "evaluation.md 3.4", least=0
    )
    momentum: float = setting(0.9, "momentum of sgd", "evaluation.md 3.4", least=0, most=1)
    schedule: str = setting(
        "half-cosine",
        "half-cosine, down to half the rate, or linear",
        "evaluation.md 3.4",
        choices=("half-cosine", "linear"),
    )
    mix: str = setting(
        "cutmix", "cutmix or mixup, in every step", "evaluation.md 3.4", choices=("cutmix", "mixup")
    )
    mixup_beta: float = setting(
        0.8, "both parameters of mixup's Beta distribution", "evaluation.md 3.4", least=0.01
    )
    temperature: float = setting(
        0.0,
        "softens the predictions; 0: 20 with cutmix, 4 with mixup",
        "evaluation.md 3.4",
        least=0,
    )
    factor: int = setting(
        1,
        "patches per side that are shuffled; crops keep 1/factor of the area",
        "evaluation.md 3.1, Q26",
        least=1,
    )
    flip: float = setting(0.5, "probability of the horizontal flip", "evaluation.md 3.3", least=0, most=1)
    precision: str = setting(
        "tf32",
        "tf32 (GPU convolutions only), float32, or bfloat16 (another protocol)",
        "evaluation.md 3.4",
        choices=ARITHMETIC,
    )
    channels_last: bool = setting(False, "store feature maps channels last", "evaluation.md 1.8")
    deterministic: bool = setting(
        False, "deterministic results on a GPU too; those on a CPU always are", "evaluation.md 1.10"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSettings:
    """Stage `teacher`: the network whose soft labels RDED's students learn (evaluation.md 3.2)."""

    network: str = setting("", "architecture; empty: the student's own", "evaluation.md 3.2")
    source: str = setting(
        "trained",
        "`trained` by this run, `torchvision` (ImageNet-1K), or a .safetensors or .pth file",
        "ours",
    )
    epochs: int = setting(
        90,
        "epochs of training",
        "torchvision's reference recipe",
        least=1,
        most=MOST_EPOCHS,
    )
    batch: int = setting(
        256,
        "images per step (8 GPUs with 32 each), partial batch kept",
        "torchvision's reference recipe",
        least=2,
    )
    lr: float = setting(
        0.1,
        "learning rate of SGD, a tenth after each third of the epochs",
        "torchvision's reference recipe",
        least=0,
    )
    momentum: float = setting(0.9, "momentum of SGD", "torchvision's reference recipe", least=0, most=1)
    weight_decay: float = setting(
        1e-4, "weight decay on every parameter", "torchvision's reference recipe", least=0
    )
    crop_scale: float = setting(
        0.08,
        "smallest area of the random resized crop",
        "torchvision's reference recipe",
        least=0.01,
        most=1,
    )
    published_pct: float = setting(
        0.0,
        "accuracy that the teacher must reach on the test images; 0: unknown",
        "evaluation.md 3.2",
        least=0,
        most=100,
    )
    tolerance_pct: float = setting(
        3.0,
        "allowed difference from the published accuracy, percentage points",
        "evaluation.md Q32",
        least=0,
        most=100,
    )
