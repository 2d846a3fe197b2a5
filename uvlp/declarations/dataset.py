"""What a file of `uvlp/datasets` declares: images with labels, and the recipe for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, function, of_module, text, texts, whole
from uvlp.recipes.dataset_size import DatasetSize
from uvlp.recipes.schema import Recipe


def _expected(value: Any) -> bool:
    sizes = value.values() if isinstance(value, Mapping) else [value]
    return bool(sizes) and all(isinstance(each, DatasetSize) for each in sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDeclaration:
    """A dataset.

    Attributes:
        origin: where it comes from.
        revision: raised when it reads other images, so that old artifacts are not taken for new ones.
        open_dataset: ``open_dataset(spec, cache, progress)``: a `Dataset` (`artifacts/dataset.py`), without
            importing torch; ``cache`` is a folder for what is worth remembering.
        make_recipe: ``recipe(ipc)``: the `Recipe` of the dataset, with everything that is not its default.
        argument: what stands behind a colon, for readers (``"PATH"`` of ``folder:PATH``); empty: nothing may.
        variants: of a dataset that lies below ``--data``: its published versions, the first is the usual one,
            empty where there is one. Without it the dataset takes neither ``--data`` nor ``--variant``.
        expected: how large it is before it is here (by variant where there are several), for ``--dry-run``.
        download: ``download(spec)``: the `Download` that ``fetch`` would still transfer, None if nothing.
        fetch: ``fetch(spec, progress)``: puts it into the folder ``spec.root``.
    """

    origin: Origin
    revision: int = constant("a whole number of 1 or more", whole)
    open_dataset: Callable[..., Any] = function("open_dataset", "spec, cache, progress")
    make_recipe: Callable[..., Any] = function("recipe", "ipc")
    argument: str = constant("a text", text, "")
    variants: tuple[str, ...] | None = constant("a tuple of texts", texts, None)
    expected: DatasetSize | Mapping[str, DatasetSize] | None = constant(
        "DatasetSize(...), or a dictionary of them by variant", _expected, None
    )
    download: Callable[..., Any] | None = function("download", "spec", default=None)
    fetch: Callable[..., Any] | None = function("fetch", "spec, progress", default=None)

    def recipe(self, ipc: int) -> Recipe:
        """The dataset's own recipe at ``ipc`` images per class.

        Raises:
            UvlpError: its function `recipe` returns anything else.
        """
        found = self.make_recipe(ipc)
        if not isinstance(found, Recipe):
            raise UvlpError(f"{self.origin.file}: recipe must return a Recipe", got=type(found).__name__)
        return found


@cache
def declared_dataset(name: str) -> DatasetDeclaration:
    """The declaration of a dataset.

    Raises:
        UvlpError: there is none of that name, or a field is missing, wrong or misspelt.
    """
    found = of_module(DatasetDeclaration, plugins.find("datasets", name))
    if (found.download is None) != (found.fetch is None):
        lacking = "download" if found.download is None else "fetch"
        raise UvlpError(
            f"{found.origin.file} declares no {lacking}", fix="declare both download and fetch, or none"
        )
    unknown = (
        set(found.expected) - set(found.variants or ()) if isinstance(found.expected, Mapping) else set()
    )
    if unknown:
        allowed = ", ".join(found.variants or ()) or "DatasetSize(...), as there are no VARIANTS"
        raise UvlpError(f"{found.origin.file}: EXPECTED", got=sorted(unknown)[0], allowed=allowed)
    return found
