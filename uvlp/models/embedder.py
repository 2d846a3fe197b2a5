"""CLIP by open_clip: train a small one on captioned images, embed images and texts.

Images are uint8 [N, H, W, 3]. A folder in open_clip's `local-dir:` layout (`open_clip_config.json`,
`open_clip_model.safetensors`, tokenizer) is the only form on disk, for small and published weights
alike. OpenAI's weights need ``"quick_gelu": true`` in the `model_cfg` of that file: without it the
features are wrong and open_clip only warns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import save_file

from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, torch_generator
from uvlp.models import tokenizer
from uvlp.models.quiet import quiet
from uvlp.models.training import one_cycle
from uvlp.recipes.schema import EmbedderSettings

REVISION = 1
BATCH = 64
CLAUSE_DROP = 0.3
LEAD_DROP = 0.5
ROLL = 1 / 16
MEAN_AND_SCALE = 0.5


class Embedder:
    """Unit-length image and text features of one model (methods.md A.3)."""

    def __init__(self, model: Any, preprocess: Callable[[Image.Image], torch.Tensor], tokenize: Any) -> None:
        self._model, self._preprocess, self._tokenize = model.eval(), preprocess, tokenize

    @classmethod
    def load(cls, folder: Path | str) -> Embedder:
        """Load an open_clip folder.

        Raises:
            UvlpError: the folder holds no open_clip model.
        """
        if not (Path(folder) / "open_clip_config.json").is_file():
            raise UvlpError(
                "no open_clip model here", got=str(folder), allowed="a folder with open_clip_config.json"
            )
        source = f"local-dir:{folder}"
        with quiet(), torch.random.fork_rng(devices=[]):
            model, preprocess = open_clip.create_model_from_pretrained(source)
            return cls(model, preprocess, open_clip.get_tokenizer(source))

    @torch.inference_mode()
    def image_features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of length one, float32 [N, D], for uint8 images [N, H, W, 3]."""
        parts = [
            self._model.encode_image(
                torch.stack(
                    [self._preprocess(Image.fromarray(image)) for image in images[start : start + BATCH]]
                ),
                normalize=True,
            )
            for start in range(0, len(images), BATCH)
        ]
        return torch.cat(parts).float().numpy()

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Rows of length one, float32 [N, D]; longer texts lose their tail (see `over_long`)."""
        parts = [
            self._model.encode_text(self._tokenize(list(texts[start : start + BATCH])), normalize=True)
            for start in range(0, len(texts), BATCH)
        ]
        return torch.cat(parts).float().numpy()

    def over_long(self, texts: Sequence[str]) -> int:
        """How many of ``texts`` have more tokens than the model reads."""
        length = self._model.context_length
        ids = self._tokenize(list(texts), context_length=length + 1)
        end = ids.max()  # the end of text is the largest id; some tokenizers also pad with it
        return int(((ids[:, length] == end) & (ids[:, length - 1] != end)).sum())


def train(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    settings: EmbedderSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    further_texts: Sequence[str] = (),
) -> None:
    """Train a CLIP from scratch on images [N, H, W, 3] and their captions; fill ``folder``.

    Args:
        further_texts: what the tokenizer must also know, e.g. the prompt ensemble.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer.train([*captions, *further_texts], settings.context_length, folder)
    config = _config(settings, images.shape[1], vocabulary)
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "embedder", "weights"))
        model = CLIP(**config["model_cfg"])
        tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    generator = torch_generator(seed, "embedder", "batches")
    pixels = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - MEAN_AND_SCALE) / MEAN_AND_SCALE

    def loss_of_step() -> torch.Tensor:
        rows = torch.randint(len(pixels), (settings.batch,), generator=generator)
        texts = [_drop_clauses(captions[row], generator) for row in rows]
        image, text, scale = model(_roll(pixels[rows], generator), tokenize(texts))
        return _contrastive_loss(scale * image @ text.T, texts)

    model.train()
    one_cycle(
        "embedder", model.parameters(), loss_of_step, steps=settings.steps, lr=settings.lr, progress=progress
    )
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


def _config(settings: EmbedderSettings, side_px: int, vocabulary: int) -> dict[str, Any]:
    """The content of `open_clip_config.json`."""
    return {
        "model_cfg": {
            "embed_dim": settings.text_width,
            "vision_cfg": {"image_size": side_px, "layers": [1, 1, 1, 1], "width": settings.width},
            "text_cfg": {
                "context_length": settings.context_length,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": "local",  # any name: open_clip then reads the tokenizer of this folder
                "width": settings.text_width,
                "heads": settings.text_heads,
                "layers": settings.text_layers,
            },
        },
        "preprocess_cfg": {
            "mean": [MEAN_AND_SCALE] * 3,
            "std": [MEAN_AND_SCALE] * 3,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }


def _drop_clauses(caption: str, generator: torch.Generator) -> str:
    """Drop words before the class name from half of the first clauses, and any other clause at times.

    Without the former, class names in other sentences (methods.md A.3) are hardly understood.
    """
    first, *others = caption.split(", ")
    *lead, name = first.split(" ")
    if torch.rand((), generator=generator) < LEAD_DROP:
        first = " ".join([*_drop(lead, 0.5, generator), name])
    return ", ".join([first, *_drop(others, CLAUSE_DROP, generator)])


def _drop(parts: list[str], share: float, generator: torch.Generator) -> list[str]:
    kept = torch.rand(len(parts), generator=generator) >= share
    return [part for part, keep in zip(parts, kept, strict=True) if keep]


def _roll(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image [N, C, H, W] round its borders by up to a sixteenth of its sides."""
    count, _, height, width = pixels.shape
    reach = max(1, round(height * ROLL))
    shifts = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator)
    rows = (torch.arange(height) + shifts[0]) % height
    columns = (torch.arange(width) + shifts[1]) % width
    image = torch.arange(count)[:, None, None]
    return pixels.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _contrastive_loss(logits: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Symmetric cross entropy of logits [N, N]; rows with equal texts share the target."""
    number = {text: index for index, text in enumerate(texts)}
    group = torch.tensor([number[text] for text in texts])
    same = (group[:, None] == group[None, :]).float()
    target = same / same.sum(dim=1, keepdim=True)
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
