"""Settings of every stage as frozen, keyword-only dataclasses.

Each field is a `setting` (`recipes/setting.py`) with a description, the source of its default and its limits.
Only fields whose value differs from the default enter an artifact's key, so a new field with a default keeps
old artifacts valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from uvlp.recipes.dit import DiffFitSettings, TransformerSettings
from uvlp.recipes.evaluation import EvaluateSettings, RdedSettings, TeacherSettings
from uvlp.recipes.setting import MOST_EPOCHS, MOST_LAYERS, PRECISIONS, WIDEST, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionSettings:
    """Stage `caption`: one sentence per training image."""

    captioner: str = setting(
        "file",
        "captioner plug-in, or `file`: imported captions or the dataset's metadata.jsonl; `auto`: these if"
        " available, else `llava` with published models and `colours` without",
    )
    missing: str = setting(
        "stop",
        "for missing captions: `stop`, or `empty` (counted)",
        "methods.md E10",
        choices=("stop", "empty"),
    )
    batch: int = setting(32, "images per batch of llava; one that does not fit into memory is split", least=1)
    max_new_tokens: int = setting(
        1024, "longest answer of llava, in tokens", "methods.md B.1", least=1, most=4096
    )
    sampling: str = setting(
        "greedy",
        "decoding of llava: greedy, or published (temperature 0.2)",
        "decisions.md; methods.md B.1",
        choices=("greedy", "published"),
    )
    quantise: str = setting(
        "",
        "load llava in `4bit` (needs bitsandbytes and a GPU); empty: as stored",
        choices=("", "4bit"),
    )
    shard: int = setting(
        256,
        "images per part of llava's captions that survives a kill, rounded up to full batches",
        least=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Published models of profile sd15: a hub repository, or a local folder with the same layout."""

    diffusion: str = setting(
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "Stable Diffusion 1.5: hub repository, or a diffusers folder",
        "diffusers documentation; the first repository is gone",
    )
    diffusion_revision: str = setting(
        "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        "its commit; empty: the newest at the first download, then that one",
        "the hub",
    )
    clip: str = setting(
        "hf-hub:timm/vit_large_patch14_clip_224.openai",
        "CLIP by open_clip: `hf-hub:REPOSITORY`, `local-dir:FOLDER`, or `openai`",
        "OpenAI's ViT-L/14 in safetensors",
    )
    clip_revision: str = setting("", "its commit; empty: the newest at the first download, then that one")
    llava: str = setting(
        "llava-hf/llava-1.5-7b-hf", "LLaVA-1.5-7B: hub repository, or a folder", "methods.md B.1"
    )
    llava_revision: str = setting(
        "b234b804b114d9e37bb655e11cbbb5f5e971b7a9",
        "its commit; empty: the newest at the first download, then that one",
        "the hub",
    )
    finetuned: str = setting("", "folder of a fine-tuned pipeline to use instead of fine-tuning")
    dit: str = setting(
        "facebook/DiT-XL-2-256",
        "DiT-XL/2 for ImageNet at 256 px: hub repository, or a diffusers folder",
        "diffusers documentation",
    )
    dit_revision: str = setting("", "its commit; empty: the newest at the first download, then that one")
    stylegan_xl: str = setting(
        "",
        "StyleGAN-XL for ImageNet, as prior of `glad`: folder with config.json and generator.safetensors, or "
        "a hub repository of them",
        "docs/stylegan_xl.md",
    )
    stylegan_xl_revision: str = setting(
        "", "its commit; empty: the newest at the first download, then that one"
    )
    precision: str = setting(
        "auto",
        "float32, float16, bfloat16, or auto: float32 on a CPU; on a GPU float16 for inference and bfloat16 "
        "for training if supported",
        "methods.md A.4, B.2; decisions.md",
        choices=PRECISIONS,
    )

    def __post_init__(self) -> None:
        """Drop the pinned commit if another repository is set, since it exists only in the default one."""
        usual = type(self).__dataclass_fields__
        for name in ("diffusion", "clip", "llava", "dit"):
            pinned = getattr(self, f"{name}_revision") == usual[f"{name}_revision"].default
            if pinned and getattr(self, name) != usual[name].default:
                object.__setattr__(self, f"{name}_revision", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneSettings:
    """Stage `finetune` of profile sd15: the UNet of Stable Diffusion on captioned images (methods.md B.2).

    Fields without a counterpart in other settings have the names of the options of diffusers'
    `train_text_to_image.py`.
    """

    resolution_px: int = setting(
        512, "shorter side after resizing, then the crop", "methods.md B.2", least=8, most=4096
    )
    center_crop: bool = setting(True, "crop the centre; else a random position", "methods.md B.2")
    random_flip: bool = setting(True, "mirror every image with probability one half", "methods.md B.2")
    batch: int = setting(32, "images per batch, over all GPUs together", "methods.md B.2", least=1)
    accumulation: int = setting(4, "batches per update", "methods.md B.2", least=1)
    epochs: int = setting(8, "passes over the training images", "methods.md B.2", least=1, most=MOST_EPOCHS)
    lr: float = setting(1e-5, "learning rate of AdamW, constant", "methods.md B.2", least=0)
    lr_warmup_steps: int = setting(
        0, "updates during which the learning rate rises to `lr`", "methods.md B.2", least=0
    )
    adam_beta1: float = setting(
        0.9, "AdamW: decay of the mean gradient", "methods.md B.2", least=0, most=0.999999
    )
    adam_beta2: float = setting(
        0.999, "AdamW: decay of the mean square gradient", "methods.md B.2", least=0, most=0.999999
    )
    adam_epsilon: float = setting(1e-8, "AdamW: epsilon", "methods.md B.2", least=0)
    adam_weight_decay: float = setting(1e-2, "AdamW: weight decay", "methods.md B.2", least=0)
    max_grad_norm: float = setting(1.0, "gradients are clipped to this norm", "methods.md B.2", least=0)
    use_ema: bool = setting(
        True,
        "save averaged weights; decay (1+s)/(10+s) before update s, at most `ema_decay`",
        "methods.md B.2",
    )
    ema_decay: float = setting(0.9999, "largest decay of the average", "methods.md B.2", least=0, most=1)
    gradient_checkpointing: bool = setting(
        True, "recompute activations instead of storing them: less memory, slower", "methods.md B.2"
    )
    cache_latents: bool = setting(
        True,
        "encode every image and its mirror image once for all fine-tunings and draw from the stored "
        "distributions (at 512 px 128 KiB per image on disk): faster, the same statistics",
        "ours: the published script encodes in every epoch",
    )
    checkpointing_steps: int = setting(
        500, "updates between checkpoints", "methods.md B.2", decides=False, least=1
    )
    checkpoints_total_limit: int = setting(
        2, "checkpoints that are kept", "methods.md B.2", decides=False, least=1
    )
    validation_prompts: tuple[str, ...] = setting((), "prompts of sample images during training", "diffusers")
    validation_epochs: int = setting(2, "epochs between these sample images", "methods.md B.2", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderSettings:
    """Training of the small open_clip model (every profile but sd15)."""

    width: int = setting(
        16, "width of the ModifiedResNet image tower", "measured on digits", least=1, most=WIDEST
    )
    layers: tuple[int, ...] = setting(
        (1, 1, 1, 1),
        "blocks per level of the image tower",
        "measured on digits",
        least=1,
        most=MOST_LAYERS,
    )
    text_width: int = setting(
        64, "width of the text tower and of the joint space", "measured on digits", least=1, most=WIDEST
    )
    text_layers: int = setting(2, "layers of the text tower", "measured on digits", least=1, most=MOST_LAYERS)
    text_heads: int = setting(
        4, "attention heads of the text tower", "measured on digits", least=1, most=MOST_LAYERS
    )
    context_length: int = setting(
        40,
        "longest caption in tokens, start and end included",
        "measured on digits",
        least=3,
        most=65536,
    )
    steps: int = setting(120, "training steps", "measured on digits", least=1)
    batch: int = setting(64, "images per step", "measured on digits", least=1)
    lr: float = setting(3e-3, "peak learning rate (one cycle)", "measured on digits", least=0)
    precision: str = setting(
        "float32",
        "dtype of the training, as in models.precision; the weights stay float32",
        choices=PRECISIONS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderSettings:
    """Training of the small AutoencoderKL (every profile but sd15)."""

    channels: tuple[int, ...] = setting(
        (16, 32, 32),
        "channels per level; each further level downsamples by 2",
        "measured on digits",
        least=1,
        most=WIDEST,
    )
    layers: int = setting(1, "residual blocks per level", "measured on digits", least=1, most=MOST_LAYERS)
    steps: int = setting(120, "training steps", "measured on digits", least=1)
    batch: int = setting(16, "images per step", "measured on digits", least=1)
    lr: float = setting(4e-3, "peak learning rate (one cycle)", "measured on digits", least=0)
    kl_weight: float = setting(1e-4 / 256, "weight of the KL term", "measured on digits", least=0)
    precision: str = setting(
        "float32",
        "dtype of the training, as in models.precision; the weights stay float32",
        choices=PRECISIONS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffuserSettings:
    """Training of the small UNet2DConditionModel (every profile but sd15)."""

    channels: tuple[int, ...] = setting(
        (32, 64),
        "channels per level, from the highest resolution",
        "measured on digits",
        least=1,
        most=WIDEST,
    )
    layers: int = setting(1, "residual blocks per level", "measured on digits", least=1, most=MOST_LAYERS)
    attention_levels: int = setting(
        1, "lowest levels with attention to the text", "measured on digits", least=0, most=64
    )
    steps: int = setting(400, "training steps", "measured on digits", least=1)
    batch: int = setting(32, "latents per step", "measured on digits", least=1)
    lr: float = setting(4e-3, "peak learning rate (one cycle)", "measured on digits", least=0)
    ema: float = setting(
        0.99, "decay of the saved average of the weights", "measured on digits", least=0, most=1
    )
    caption_drop: float = setting(
        0.1, "share of captions replaced by the empty text", "measured on digits", least=0, most=1
    )
    precision: str = setting(
        "float32",
        "dtype of the training, as in models.precision; the weights stay float32",
        choices=PRECISIONS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedSettings:
    """Stage `embed`: CLIP features and VAE latents, one row per training image."""

    batch: int = setting(64, "images per batch; fixed, because it changes the last bits", least=1, most=65536)
    shard: int = setting(16, "batches per part; an interruption loses at most one part", least=1, most=65536)
    clip_precision: str = setting(
        "float32",
        "float32 as published, or tf32 for CLIP's matrix products on a GPU",
        "methods.md A.3",
        choices=("float32", "tf32"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisSettings:
    """Stage `synthesise`: latents2img on the stock img2img pipeline (methods.md D)."""

    strength: float = setting(
        0.75, "share of the noise schedule that is used", "UVLP README", least=0, most=1
    )
    guidance: float = setting(10.5, "classifier-free guidance scale", "UVLP README", least=0, most=1000)
    steps: int = setting(50, "length of the noise schedule", "UVLP README", least=1, most=1000)
    scheduler: str = setting(
        "pndm", "pndm, ddim, dpm++ or euler", "methods.md D.3", choices=("pndm", "ddim", "dpm++", "euler")
    )
    negative_prompt: str = setting("cartoon, anime, painting", "negative prompt", "methods.md A.12")
    noise: str = setting(
        "derived",
        "`derived` from seed, class and slot, or the `published` stream",
        "D-02",
        choices=("derived", "published"),
    )
    batch: int = setting(
        10,
        "prototypes per batch; 0: 4 on a CPU, on a GPU as many as fit in half of its memory, up to 32",
        least=0,
    )
    size_px: int = setting(
        0,
        "side to which images are resized with PIL's default filter; 0: not resized",
        "methods.md A.13, B.6",
        least=0,
        most=4096,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Complete description of a run, apart from the machine."""

    dataset: str = setting("digits", "dataset, with its argument: `digits`, `folder:PATH`")
    ipc: int = setting(10, "images per class")
    profile: str = setting("tiny", "model sizes and schedules: sd15, small, tiny, nano")
    methods: tuple[str, ...] = setting(("random", "vlcp", "uvlp", "full"), "methods, with variants")
    networks: tuple[str, ...] = setting(("convnet-3",), "test networks, with depth")
    seeds: tuple[int, ...] = setting((0,), "distillation seeds")
    repeats: int = setting(3, "trainings of each network per seed", "evaluation.md 1.9")
    protocol: str = setting("minimax", "evaluator plug-in")
    data: str = setting("", "folder of datasets; empty: $UVLP_DATA, else ./uvlp_data")
    variant: str = setting("", "published version of the dataset; empty: its first")
    pretrained: bool = setting(
        False, "use published models and fine-tune them; else small models trained on the dataset"
    )
    portable: bool = setting(
        False,
        "compute on the CPU with instructions of every x86-64-v2 processor",
        "docs/portability.md",
    )
    models_seed: int = setting(
        -1,
        "seed of all models trained here but the test networks, whatever the distillation seed; "
        "-1: that of each distillation seed",
        least=-1,
    )
    image_px: int = setting(32, "side of the images for training and synthesis", least=8, most=4096)
    note: str = setting("", "note below every table of this recipe")
    models_note: str = setting("", "note below tables with synthesised images")
    protocol_notes: dict[str, str] = field(default_factory=dict)
    """Notes below tables, by protocol."""
    caption: CaptionSettings = field(default_factory=CaptionSettings)
    models: ModelSettings = field(default_factory=ModelSettings)
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)
    embedder: EmbedderSettings = field(default_factory=EmbedderSettings)
    autoencoder: AutoencoderSettings = field(default_factory=AutoencoderSettings)
    diffuser: DiffuserSettings = field(default_factory=DiffuserSettings)
    transformer: TransformerSettings = field(default_factory=TransformerSettings)
    difffit: DiffFitSettings = field(default_factory=DiffFitSettings)
    embed: EmbedSettings = field(default_factory=EmbedSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)
    rded: RdedSettings = field(default_factory=RdedSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    synthesis: dict[str, Any] = field(default_factory=dict)
    """Synthesis settings that differ from their defaults, for every method that synthesises images."""
    method: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings that differ from their defaults, by method: ``{"uvlp": {"top_k": 3}}``."""
    protocols: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The same, by protocol without a section in recipes."""
