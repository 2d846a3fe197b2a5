"""`uvlp table`: print a table that the store holds."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts import manifest, tables
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError, unknown_name


def measured(store: Store) -> dict[str, Path]:
    """Finished tables by name; of several with one name the newest."""
    folders = [path.parent for path in (store.root / tables.KIND).glob(f"*/{manifest.FILE}")]
    folders.sort(key=lambda folder: (folder / manifest.FILE).stat().st_mtime_ns)
    return {tables.read(folder).name: folder for folder in folders}


def show(name: str, form: str, store: Store) -> None:
    """Print one table.

    Raises:
        UvlpError: no such table or format.
    """
    if form not in tables.FORMATS:
        raise unknown_name("format", form, tables.FORMATS)
    found = measured(store)
    if name not in found:
        raise UvlpError(
            "no such table in the store",
            got=name,
            allowed=", ".join(sorted(found)) or "none yet",
            do=f"make one with `uvlp reproduce`; store: {store.root}",
        )
    print((found[name] / tables.FORMATS[form]).read_text(), end="")
