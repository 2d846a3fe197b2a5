"""`Store`: finished tables and distilled images by name."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from uvlp.api.html import table_html
from uvlp.api.image_set import ImageSet
from uvlp.api.results import PublishedTable, Result
from uvlp.artifacts import tables as kind
from uvlp.exchange import export_sets
from uvlp.pipeline import stored_tables
from uvlp.pipeline.published import show
from uvlp.pipeline.requests.resolve import store_at
from uvlp.tables import published


class Store:
    """A folder of artifacts; nothing is written before something is made.

    Args:
        folder: None: ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: it cannot be a folder.
    """

    def __init__(self, folder: str | PathLike[str] | None = None) -> None:
        self._store = store_at(None if folder is None else fspath(folder))

    @property
    def root(self) -> Path:
        """Its folder."""
        return self._store.root

    @property
    def tables(self) -> dict[str, str]:
        """Captions of the finished tables by their names."""
        return {name: table.caption for name, table in stored_tables.measured(self._store)[0].items()}

    @property
    def images(self) -> dict[str, str]:
        """What the finished sets of images are, by their names."""
        return {one.full_name: one.about for one in export_sets.distilled_sets(self._store)}

    def table(self, name: str) -> Result | PublishedTable:
        """Return a published table, or one of this store by name or key.

        Raises:
            UvlpError: there is no such table, or it is damaged.
        """
        if name in published.TABLES:
            return PublishedTable(show.read(name, self._store))
        artifact = f"{kind.KIND}/{stored_tables.find(name, self._store).key}"
        return Result(table=kind.read(self.root / artifact), artifact=artifact, store=self._store)

    def image_set(self, name: str) -> ImageSet:
        """Return distilled images by name or key, e.g. ``"uvlp-seed-0"``.

        Raises:
            UvlpError: there are none of this name, or several, or they are damaged.
        """
        found = export_sets.find(name, self._store)
        return ImageSet(folder=found.folder, title=found.full_name)

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def _repr_html_(self) -> str:
        rows = [["table", *item] for item in self.tables.items()]
        rows += [["images", *item] for item in self.images.items()]
        return table_html(str(self.root), ["kind", "name", "what it is"], rows, ())
