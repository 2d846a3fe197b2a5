"""CLIP by open_clip: train a small one on captioned images, embed images and texts.

Images are uint8 [N, H, W, 3]. On disk a model is a folder in open_clip's `local-dir:` layout
(`open_clip_config.json`, `open_clip_model.safetensors`, tokenizer), for small and published weights, or the
single file of OpenAI's ViT-L/14, whose configuration is part of open_clip. `models/published/find.py` checks
in advance that OpenAI's weights have ``"quick_gelu": true``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import save_file

from uvlp.core import machine
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.core.seeds import derive, torch_generator
from uvlp.models import tokenizer
from uvlp.models.device import arithmetic, matrix_products, send
from uvlp.models.quiet import LOADING_ERRORS, quiet
from uvlp.models.tokenizer import ClauseTokens
from uvlp.models.training import one_cycle
from uvlp.recipes.schema import EmbedderSettings

REVISION = 1
BATCH = 64
OPENAI = "ViT-L-14-quickgelu"
SMALLEST_NORM = 1e-8  # methods.md A.3
LONGEST_PROBLEM = 300
CLAUSE_DROP = 0.3
LEAD_DROP = 0.5
ROLL = 1 / 16
MEAN_AND_SCALE = 0.5


class Embedder:
    """Computes unit-length image and text features in float32 (methods.md A.3).

    Args:
        device: of the model.
        tf32: let a GPU round factors to ten bits, which is several times faster.
    """

    def __init__(
        self,
        model: Any,
        preprocess: Callable[[Image.Image], torch.Tensor],
        tokenize: Any,
        device: str = "cpu",
        tf32: bool = False,
    ) -> None:
        self._model, self._preprocess, self._tokenize = model.eval(), preprocess, tokenize
        self._device, self._tf32 = device, tf32

    @classmethod
    def load(cls, source: Path | str, device: str = "cpu", tf32: bool = False) -> Embedder:
        """Load a folder, or the file with OpenAI's weights of ViT-L/14.

        Raises:
            UvlpError: there is no such model, or the weights are of another architecture.
        """
        path = Path(source)
        if not path.is_file() and not (path / "open_clip_config.json").is_file():
            raise UvlpError(
                "not an open_clip model",
                got=str(source),
                allowed="a folder with open_clip_config.json, or OpenAI's weights in one file",
            )
        name, weights = (OPENAI, str(path)) if path.is_file() else (f"local-dir:{path}", None)
        try:
            with quiet(), torch.random.fork_rng(devices=[]):
                model, preprocess = open_clip.create_model_from_pretrained(name, weights, device=device)
                return cls(model, preprocess, open_clip.get_tokenizer(name), device, tf32)
        except LOADING_ERRORS as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise UvlpError(
                f"cannot load a CLIP from {source}",
                got=shorten(str(error), LONGEST_PROBLEM, placeholder=" ..."),
                allowed="a configuration with matching weights",
            ) from error

    def preprocess(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """Return the input of the image tower, float32 [3, side, side]; thread-safe.

        As in the reference, a resized image is still 8-bit here: shorter side to the tower's, bicubic, centre
        crop, then normalisation.
        """
        return self._preprocess(Image.fromarray(image))

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return unit-length rows, float32 [B, D] on the model's device, of one batch from `preprocess`."""
        with self._rounding():
            features = self._model.encode_image(pixels.to(self._device, non_blocking=True))
        return _unit(features)

    @torch.inference_mode()
    def text_features(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit-length rows, float32 [N, D]; long texts are truncated (see `over_long`)."""
        parts = []
        for start in range(0, len(texts), BATCH):
            ids = self._tokenize(list(texts[start : start + BATCH])).to(self._device)
            with self._rounding():
                parts.append(_unit(self._model.encode_text(ids)))
        return torch.cat(parts).cpu().numpy()

    @contextmanager
    def _rounding(self) -> Iterator[None]:
        """Context with float32 also in convolutions, for which torch uses TF32 on a GPU by default."""
        with (
            arithmetic(self._device, "float32", deterministic=True),
            matrix_products("high" if self._tf32 else "highest"),
        ):
            yield

    def over_long(self, texts: Sequence[str]) -> int:
        """Return how many of ``texts`` have more tokens than the model's context length."""
        return sum(self._over_long(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH))

    def _over_long(self, texts: Sequence[str]) -> int:
        length = self._model.context_length
        ids = self._tokenize(list(texts), context_length=length + 1)
        end = ids.max()  # end of text is the largest id; some tokenizers also pad with it
        return int(((ids[:, length] == end) & (ids[:, length - 1] != end)).sum())


def _unit(features: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(features.float(), dim=-1, eps=SMALLEST_NORM)


def train(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    settings: EmbedderSettings,
    seed: int,
    folder: Path,
    progress: Progress,
    further_texts: Sequence[str] = (),
    partial: Path | None = None,
) -> None:
    """Train a CLIP from scratch on images [N, H, W, 3] and their captions; write it to ``folder``.

    Args:
        further_texts: additional texts for the tokenizer, e.g. the prompt ensemble.
        partial: folder for checkpoints (see `one_cycle.one_cycle`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer.train([*captions, *further_texts], settings.context_length, folder)
    config = _config(settings, images.shape[1], vocabulary)
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "embedder", "weights"))
        model = CLIP(**config["model_cfg"])
        tokenize = ClauseTokens(open_clip.get_tokenizer(f"local-dir:{folder}"), settings.context_length)
    generator = torch_generator(seed, "embedder", "batches")
    device = machine.device()
    one_cycle.to_device(model, device)
    data = send(images, device)

    def loss_of_step() -> torch.Tensor:
        rows = torch.randint(len(data), (settings.batch,), generator=generator)
        texts = [_drop_clauses(captions[row], generator) for row in rows]
        rolled = _roll(data[send(rows, device)].permute(0, 3, 1, 2), generator)
        pixels = (rolled / 255 - MEAN_AND_SCALE) / MEAN_AND_SCALE
        image, text, scale = model(pixels, send(tokenize(texts), device))
        with torch.autocast(device, enabled=False):  # at a scale of 100, bfloat16 cannot resolve the logits
            return _contrastive_loss(scale.float() * image.float() @ text.float().T, texts)

    model.train()
    one_cycle.one_cycle(
        "embedder", model, loss_of_step, settings, generator=generator, progress=progress, partial=partial
    )
    one_cycle.to_device(model, "cpu")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")


def _config(settings: EmbedderSettings, side_px: int, vocabulary: int) -> dict[str, Any]:
    """Return the content of `open_clip_config.json`."""
    return {
        "model_cfg": {
            "embed_dim": settings.text_width,
            "vision_cfg": {"image_size": side_px, "layers": list(settings.layers), "width": settings.width},
            "text_cfg": {
                "context_length": settings.context_length,
                "vocab_size": vocabulary,
                "hf_tokenizer_name": "local",  # with any name open_clip reads the tokenizer of this folder
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
    """Drop words before the class name from half of the first clauses, and other clauses at random.

    Without the former, class names in other sentences (methods.md A.3) are poorly recognised.
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
    """Shift each image [N, C, H, W] cyclically by up to a sixteenth of its sides."""
    count, _, height, width = pixels.shape
    reach = max(1, round(height * ROLL))
    shifts = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator)
    device = pixels.device
    rows = send((torch.arange(height) + shifts[0]) % height, device)
    columns = send((torch.arange(width) + shifts[1]) % width, device)
    image = torch.arange(count, device=device)[:, None, None]
    return pixels.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _contrastive_loss(logits: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Return the symmetric cross entropy of logits [N, N]; rows with equal texts share the target."""
    number = {text: index for index, text in enumerate(texts)}
    group = send(torch.tensor([number[text] for text in texts]), logits.device)
    same = (group[:, None] == group[None, :]).float()
    target = same / same.sum(dim=1, keepdim=True)
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
