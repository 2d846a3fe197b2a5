"""Folders of published models and datasets: locations, free space, and which of them are present."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.cli.findings.finding import INSTALL, Finding
from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import as_uvlp_error
from uvlp.core.files.paths import nearest_existing
from uvlp.core.wording import byte_size
from uvlp.pipeline.downloads.transfers import datasets_here
from uvlp.recipes.schema import ModelSettings

PARTS = {"diffusion": "Stable Diffusion 1.5", "clip": "CLIP ViT-L/14", "llava": "LLaVA-1.5-7B"}


def findings() -> Iterator[Finding]:
    """Yield two lines each for models and datasets; profiles small and tiny need neither."""
    if importlib.util.find_spec("huggingface_hub") is None:
        yield Finding("models", False, "unknown without huggingface_hub", INSTALL)
    else:
        yield from readable("models folder", _models)
    yield from readable("data folder", _datasets)


def readable(what: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of ``look``, or one that its folder cannot be read."""
    try:
        yield from look()
    except UvlpError as error:
        yield Finding(what, False, f"{error.what}: {error.got}", error.fix or "")
    except OSError as error:
        explained = as_uvlp_error(error)
        fix = (explained and explained.fix) or ""
        yield Finding(what, False, f"{error.filename}: {error.strerror}", fix)


def _models() -> Iterator[Finding]:
    from uvlp.models.published import find, hub

    yield Finding("models folder", True, f"{hub.cache_folder()}, {_free(hub.cache_folder())} (HF_HOME)")
    here = [title for part, title in PARTS.items() if not find.needed(ModelSettings(), [part])]
    yield _stock("models", here, list(PARTS.values()), "`uvlp fetch models` for profile sd15")


def _datasets() -> Iterator[Finding]:
    root = DatasetSpec(name="").root.absolute()
    yield Finding("data folder", True, f"{root}, {_free(root)} (UVLP_DATA)")
    here = datasets_here()
    yield _stock(
        "datasets",
        [name for name, present in here.items() if present],
        list(here),
        "`uvlp fetch DATASET`; subsets of an ILSVRC folder: --data DIR",
    )


def _stock(what: str, here: list[str], known: list[str], fix: str) -> Finding:
    missing = [name for name in known if name not in here]
    parts = [
        f"{state}: {', '.join(names)}"
        for state, names in (("present", here), ("not present", missing))
        if names
    ]
    return Finding(what, True, "; ".join(parts), fix if missing else "")


def _free(folder: Path) -> str:
    return f"{byte_size(shutil.disk_usage(nearest_existing(folder)).free)} free"
