"""The files of each part of the published models, and which of them a folder contains.

A part's digest covers only the files listed here: a copy without the readme and the other formats of a hub
repository is the same model.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.wording import first_few

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
TOKENIZER = ("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of one part, as paths below its folder.

    Attributes:
        title: the model's name in messages.
        weights: weight files without extension: one `.safetensors`, or shards and their index.
        needed: other required files.
        either: alternative groups, of which one must be complete.
        further: optional files, read if present.
        unread: files that a loader requires although they do not affect the model.
    """

    title: str
    weights: tuple[str, ...]
    needed: tuple[str, ...] = ()
    either: tuple[tuple[tuple[str, ...], ...], ...] = ()
    further: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def patterns(self) -> list[str]:
        """Return the patterns of the file names to fetch."""
        groups = [name for group in self.either for names in group for name in names]
        weights = [pattern for stem in self.weights for pattern in _weight_patterns(stem)]
        return sorted({*self.needed, *groups, *self.further, *self.unread, *weights})


def _weight_patterns(stem: str) -> tuple[str, str, str]:
    return f"{stem}.safetensors", f"{stem}.safetensors.index.json", f"{stem}-*-of-*.safetensors"


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


LAYOUTS: Mapping[str, Layout] = {
    "diffusion": Layout(
        title="Stable Diffusion 1.5",
        weights=(
            "unet/diffusion_pytorch_model",
            "vae/diffusion_pytorch_model",
            "text_encoder/model",
        ),
        needed=(
            "model_index.json",
            "unet/config.json",
            "vae/config.json",
            "text_encoder/config.json",
            "scheduler/scheduler_config.json",
        ),
        either=((_below("tokenizer", "tokenizer.json"), _below("tokenizer", "vocab.json", "merges.txt")),),
        further=_below("tokenizer", *TOKENIZER),
        unread=_below("feature_extractor", "preprocessor_config.json"),
    ),
    "autoencoder": Layout(
        title="the autoencoder of Stable Diffusion 1.5",
        weights=("vae/diffusion_pytorch_model",),
        needed=("vae/config.json",),
    ),
    "dit": Layout(
        title="DiT-XL/2",
        weights=("transformer/diffusion_pytorch_model", "vae/diffusion_pytorch_model"),
        needed=("model_index.json", "transformer/config.json", "vae/config.json"),
        unread=("scheduler/scheduler_config.json",),
    ),
    "stylegan_xl": Layout(title="StyleGAN-XL", weights=("generator",), needed=("config.json",)),
    "clip": Layout(
        title="CLIP",
        weights=("open_clip_model",),
        needed=("open_clip_config.json",),
        further=("tokenizer.json", "vocab.json", "merges.txt", *TOKENIZER),
    ),
    "openai": Layout(
        title="OpenAI's CLIP ViT-L/14",
        weights=("open_clip_model",),
    ),
    "llava": Layout(
        title="LLaVA-1.5",
        weights=("model",),
        needed=("config.json",),
        either=(
            (("preprocessor_config.json",), ("processor_config.json",)),
            (("tokenizer.json",), ("tokenizer.model",)),
        ),
        further=("generation_config.json", "chat_template.json", "chat_template.jinja", *TOKENIZER),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The files of a part that a folder contains.

    Attributes:
        read: files that determine the model, sorted.
        missing: missing files, or descriptions of missing groups.
        shards: weight files by stem.
    """

    read: tuple[str, ...]
    missing: tuple[str, ...]
    shards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def contents(layout: Layout, folder: Path) -> Contents:
    """List the files of ``folder`` that belong to the part, without reading them.

    A broken link, as after an interrupted download, counts as missing.
    """
    missing = [name for name in layout.needed if not (folder / name).is_file()]
    read = [*layout.needed, *(name for name in layout.further if (folder / name).is_file())]
    for group in layout.either:
        complete = [names for names in group if all((folder / name).is_file() for name in names)]
        read += [name for names in complete for name in names]
        if not complete:
            missing.append(" or ".join(" and ".join(names) for names in group))
    shards = {}
    for stem in layout.weights:
        shards[stem], lacking = _shards(folder, stem)
        read += shards[stem]
        missing += lacking
        index = f"{stem}.safetensors.index.json"
        if f"{stem}.safetensors" not in shards[stem] and (folder / index).is_file():
            read.append(index)
    return Contents(read=tuple(sorted(set(read))), missing=tuple(missing), shards=shards)


def _shards(folder: Path, stem: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the present weight files of ``stem``, and the missing ones."""
    single, index, pattern = _weight_patterns(stem)
    if (folder / single).is_file():
        return (single,), []
    parent = (folder / stem).parent
    names = [path.relative_to(folder).as_posix() for path in parent.glob("*.safetensors") if path.is_file()]
    present = tuple(sorted(name for name in names if fnmatch.fnmatchcase(name, pattern)))
    if (folder / index).is_file():
        prefix = stem.rpartition("/")[0]
        listed = [f"{prefix}/{name}" if prefix else name for name in _shards_of(folder / index)]
        return present, [name for name in listed if name not in present]
    return present, [index if present else single]


def _shards_of(index: Path) -> list[str]:
    """Return the files that an index of shards lists; none if unreadable, which `model_checks` reports."""
    try:
        return sorted(set(map(str, json_files.parse(index.read_bytes())["weight_map"].values())))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def lacks_files(layout: Layout, folder: Path, names: tuple[str, ...], fix: str) -> UvlpError:
    """Return the error for a folder without the files ``names``."""
    return UvlpError(f"{layout.title} is incomplete: {first_few(names)} missing", got=str(folder), fix=fix)
