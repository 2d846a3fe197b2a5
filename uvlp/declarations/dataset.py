"""The declaration of a dataset, a file in `uvlp/datasets`: labelled images and a recipe for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, function, of_module, positive_integer, text, texts
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.schema import Recipe


def _expected(value: Any) -> bool:
    sizes = value.values() if isinstance(value, Mapping) else [value]
    return bool(sizes) and all(isinstance(each, DatasetSize) for each in sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDeclaration:
    """A dataset.

    Attributes:
        origin: package and file of the plug-in.
        revision: to be raised when the images change, so that old artifacts are not reused.
        open_dataset: ``open_dataset(spec, cache, progress)``: a `Dataset` (`artifacts/dataset.py`), without
            importing torch; ``cache`` is a folder for hashes and manifests.
        make_recipe: ``recipe(ipc)``: the `Recipe` of the dataset, with all values that are not defaults.
        argument: what follows a colon, for messages (``"PATH"`` of ``folder:PATH``); empty if nothing may.
        variants: published versions of a dataset that is read from ``--data``, the default first; empty for
            only one. If undeclared, the dataset takes neither ``--data`` nor ``--variant``.
        expected: its size before it is downloaded (by variant if there are several), for ``--dry-run``.
        download: ``download(spec)``: the `Download` that ``fetch`` would still make, None if there is none.
        fetch: ``fetch(spec, progress)``: downloads it into the folder ``spec.root``.
        licence: licence or terms of the images as their source states them, for the card of published images;
            empty: not known.
    """

    origin: Origin
    revision: int = constant("an integer of at least 1", positive_integer)
    open_dataset: Callable[..., Any] = function("open_dataset", "spec, cache, progress")
    make_recipe: Callable[..., Any] = function("recipe", "ipc")
    argument: str = constant("a text", text, "")
    variants: tuple[str, ...] | None = constant("a tuple of texts", texts, None)
    expected: DatasetSize | Mapping[str, DatasetSize] | None = constant(
        "DatasetSize(...), or a dictionary of them by variant", _expected, None
    )
    download: Callable[..., Any] | None = function("download", "spec", default=None)
    fetch: Callable[..., Any] | None = function("fetch", "spec, progress", default=None)
    licence: str = constant("a text", text, "")

    def recipe(self, ipc: int) -> Recipe:
        """The dataset's own recipe at ``ipc`` images per class.

        Raises:
            UvlpError: its function `recipe` does not return a `Recipe`.
        """
        made = self.make_recipe(ipc)
        if not isinstance(made, Recipe):
            raise UvlpError(f"{self.origin.file}: recipe must return a Recipe", got=type(made).__name__)
        return made


@cache
def declared_dataset(name: str) -> DatasetDeclaration:
    """The declaration of a dataset.

    Raises:
        UvlpError: an unknown name, or a field that is missing, invalid or misspelt.
    """
    declaration = of_module(DatasetDeclaration, plugins.find("datasets", name))
    if (declaration.download is None) != (declaration.fetch is None):
        missing = "download" if declaration.download is None else "fetch"
        raise UvlpError(
            f"{declaration.origin.file} declares no {missing}",
            fix="declare both download and fetch, or neither",
        )
    expected, variants = declaration.expected, declaration.variants or ()
    unknown = set(expected) - set(variants) if isinstance(expected, Mapping) else set()
    if unknown:
        allowed = ", ".join(variants) or "DatasetSize(...), as there are no VARIANTS"
        raise UvlpError(f"{declaration.origin.file}: EXPECTED", got=sorted(unknown)[0], allowed=allowed)
    return declaration
