"""Which files the parts of the published models consist of, and which of them lie in a folder.

A part's digest covers the files named here and no other: a copy that somebody made, without the readme and
the other formats of a hub repository, is the same model.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.wording import first_few

PICKLES = (".bin", ".ckpt", ".pt", ".pth")
TOKENIZER = ("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The files of one part, as paths below its folder.

    Attributes:
        title: the model's name for readers.
        weights: weight files without their ending: one `.safetensors`, or shards and their index.
        needed: what must be there besides.
        either: groups of which one must be there whole.
        further: what is read where it is there.
        unread: what a loader wants to see although it decides about nothing.
    """

    title: str
    weights: tuple[str, ...]
    needed: tuple[str, ...] = ()
    either: tuple[tuple[tuple[str, ...], ...], ...] = ()
    further: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def patterns(self) -> list[str]:
        """What to fetch, as patterns of file names."""
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
    """What of a part lies in a folder.

    Attributes:
        read: files that decide about the model, sorted.
        missing: files, or groups in words, that are not there.
        shards: per stem of weights the files that hold them.
    """

    read: tuple[str, ...]
    missing: tuple[str, ...]
    shards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def contents(layout: Layout, folder: Path) -> Contents:
    """Look at the names in ``folder``, not into the files.

    A name whose link leads nowhere, as after a download that stopped, counts as missing.
    """
    missing = [name for name in layout.needed if not (folder / name).is_file()]
    read = [*layout.needed, *(name for name in layout.further if (folder / name).is_file())]
    for group in layout.either:
        whole = [names for names in group if all((folder / name).is_file() for name in names)]
        read += [name for names in whole for name in names]
        if not whole:
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
    """The files that hold the weights of ``stem``, and those that should."""
    whole, index, many = _weight_patterns(stem)
    if (folder / whole).is_file():
        return (whole,), []
    place = (folder / stem).parent
    names = [path.relative_to(folder).as_posix() for path in place.glob("*.safetensors") if path.is_file()]
    found = tuple(sorted(name for name in names if fnmatch.fnmatchcase(name, many)))
    if (folder / index).is_file():
        prefix = stem.rpartition("/")[0]
        wanted = [f"{prefix}/{name}" if prefix else name for name in _shards_of(folder / index)]
        return found, [name for name in wanted if name not in found]
    return found, [index if found else whole]


def _shards_of(index: Path) -> list[str]:
    """The files that an index of shards names; none where it cannot be read, which is told elsewhere."""
    try:
        return sorted(set(map(str, json_files.parse(index.read_bytes())["weight_map"].values())))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def lacks_files(layout: Layout, folder: Path, names: tuple[str, ...], fix: str) -> UvlpError:
    """The error for a folder without ``names``; ``do`` gets them."""
    return UvlpError(f"{layout.title} is not whole: {first_few(names)} missing", got=str(folder), fix=fix)
