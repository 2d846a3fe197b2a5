"""What `uvlp doctor` says about disks: where published models and datasets lie, and which are there."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.cli.finding import INSTALL, Finding
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import explained
from uvlp.core.files.places import existing
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size
from uvlp.declarations.dataset import declared_dataset
from uvlp.recipes.schema import ModelSettings

PARTS = {"diffusion": "Stable Diffusion 1.5", "clip": "CLIP ViT-L/14", "llava": "LLaVA-1.5-7B"}


def findings() -> Iterator[Finding]:
    """Two lines each for models and datasets; neither is needed by profiles small and tiny."""
    if importlib.util.find_spec("huggingface_hub") is None:
        yield Finding("models", False, "unknown without huggingface_hub", INSTALL)
    else:
        yield from readable("models folder", _models)
    yield from readable("data folder", _datasets)


def readable(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings, or that their folder cannot be read; the others are told all the same."""
    try:
        yield from look()
    except UvlpError as error:
        yield Finding(what, False, f"{error.what}: {error.got}", error.do or "")
    except OSError as error:
        refused = explained(error)
        mend = (refused and refused.do) or ""
        yield Finding(what, False, f"{error.filename}: {error.strerror}", mend)


def _models() -> Iterator[Finding]:
    from uvlp.models.published import find as pretrained, hub

    yield Finding("models folder", True, f"{hub.cache_folder()}, {_free(hub.cache_folder())} (HF_HOME)")
    here = [title for part, title in PARTS.items() if not pretrained.needed(ModelSettings(), [part])]
    yield _stock("models", here, list(PARTS.values()), "`uvlp fetch models` where profile sd15 is wanted")


def _datasets() -> Iterator[Finding]:
    root = DatasetSpec(name="").root.absolute()
    yield Finding("data folder", True, f"{root}, {_free(root)} (UVLP_DATA)")
    named = [name for name in plugins.names("datasets") if declared_dataset(name).download is not None]
    yield _stock(
        "datasets",
        [name for name in named if _is_here(name)],
        named,
        "`uvlp fetch DATASET`; those of an ILSVRC folder: --data",
    )


def _is_here(name: str) -> bool:
    dataset, spec = declared_dataset(name), DatasetSpec(name=name)
    if dataset.download is None or dataset.fetch is None or dataset.download(spec) is not None:
        return False
    try:
        dataset.fetch(spec, Progress())  # with nothing left to transfer it only looks whether it is there
    except UvlpError:
        return False
    return True


def _stock(what: str, here: list[str], known: list[str], mend: str) -> Finding:
    missing = [name for name in known if name not in here]
    parts = [
        f"{state}: {', '.join(names)}" for state, names in (("here", here), ("not here", missing)) if names
    ]
    return Finding(what, True, "; ".join(parts), mend if missing else "")


def _free(folder: Path) -> str:
    return f"{byte_size(shutil.disk_usage(existing(folder)).free)} free"
