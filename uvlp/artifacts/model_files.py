"""Which files the parts of the published models consist of, and which of them lie in a folder.

A part's digest covers the files named here and no other: a copy that somebody made, without the readme and
the other formats of a hub repository, is the same model.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uvlp.core.errors import UvlpError
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
        convert: Python that turns pickled weights into safetensors, from ``OLD`` to ``NEW``.
        single: the same for a checkpoint in one file; empty where there are none.
        opens_file: ``OLD`` is the file with the weights, not its folder.
    """

    title: str
    weights: tuple[str, ...]
    needed: tuple[str, ...] = ()
    either: tuple[tuple[tuple[str, ...], ...], ...] = ()
    further: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    convert: str
    single: str = ""
    opens_file: bool = False

    def patterns(self) -> list[str]:
        """What to fetch, as patterns of file names."""
        groups = [name for group in self.either for names in group for name in names]
        weights = [pattern for stem in self.weights for pattern in _weight_patterns(stem)]
        return sorted({*self.needed, *groups, *self.further, *self.unread, *weights})


def _weight_patterns(stem: str) -> tuple[str, str, str]:
    return f"{stem}.safetensors", f"{stem}.safetensors.index.json", f"{stem}-*-of-*.safetensors"


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_PIPELINE = "from diffusers import StableDiffusionPipeline as M; "
_TO_FOLDER = _PIPELINE + "M.from_pretrained('OLD').save_pretrained('NEW')"
_FROM_FILE = _PIPELINE + "M.from_single_file('OLD').save_pretrained('NEW')"
_TO_FILE = (
    "import torch, safetensors.torch as s; s.save_file({k: v.contiguous() for k, v in "
    "torch.load('OLD', weights_only=True).items()}, 'NEW/open_clip_model.safetensors')"
)

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
        convert=_TO_FOLDER,
        single=_FROM_FILE,
    ),
    "autoencoder": Layout(
        title="the autoencoder of Stable Diffusion 1.5",
        weights=("vae/diffusion_pytorch_model",),
        needed=("vae/config.json",),
        convert=_TO_FOLDER,
        single=_FROM_FILE,
    ),
    "clip": Layout(
        title="CLIP",
        weights=("open_clip_model",),
        needed=("open_clip_config.json",),
        further=("tokenizer.json", "vocab.json", "merges.txt", *TOKENIZER),
        convert=_TO_FILE,
        opens_file=True,
    ),
    "openai": Layout(
        title="OpenAI's CLIP ViT-L/14",
        weights=("open_clip_model",),
        convert=_TO_FILE,
        opens_file=True,
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
        convert="from transformers import LlavaForConditionalGeneration as M; "
        "M.from_pretrained('OLD').save_pretrained('NEW')",
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
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def missing(layout: Layout, folder: Path, names: tuple[str, ...], do: str) -> UvlpError:
    """The error for a folder without ``names``: what lies there instead decides what to do.

    Args:
        do: what gets the files, where nothing else is known of them.
    """
    for other in LAYOUTS.values():
        part_of_it = set(other.needed) <= set(layout.needed)
        if not part_of_it and not contents(other, folder).missing:
            what = f"{layout.title} is not in this folder, which holds {other.title}"
            return UvlpError(what, got=str(folder), do=f"name the folder with {layout.title}")
    for stem in layout.weights:
        instead = _instead(folder, stem) if f"{stem}.safetensors" in names else ""
        if layout.single and "/" not in instead and instead.endswith((".safetensors", *PICKLES)):
            return UvlpError(
                f"{layout.title} lies here as one file, not as a folder of its parts",
                got=str(folder / instead),
                do=f"convert it: {_command(layout.single, folder / instead)}",
            )
        if instead.endswith(PICKLES):
            old = folder / instead if layout.opens_file else folder
            return UvlpError(
                f"{layout.title}: its weights are pickled, and a pickle can run any program",
                got=str(folder / instead),
                allowed="safetensors",
                do=f"if you trust its maker, convert it: {_command(layout.convert, old)}",
            )
        if instead:
            do = f"{instead} is another variant, the weights are read from {stem}.safetensors; {do}"
    return UvlpError(f"{layout.title} is not whole: {first_few(names)} missing", got=str(folder), do=do)


def _command(convert: str, old: Path) -> str:
    return f'python -c "{convert}"'.replace("OLD", str(old))


def _instead(folder: Path, stem: str) -> str:
    """A file with weights where those of ``stem`` are missed, or at the top; empty if there is none."""
    for place in dict.fromkeys([(folder / stem).parent, folder]):
        if place.is_dir():
            names = sorted(path.name for path in place.iterdir() if path.is_file())
            for ending in (".safetensors", *PICKLES):
                found = next((name for name in names if name.endswith(ending)), None)
                if found:
                    return (place / found).relative_to(folder).as_posix()
    return ""
