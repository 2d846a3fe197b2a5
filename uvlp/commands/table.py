"""`uvlp table`: print a table that the store holds."""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts import manifest, tables
from uvlp.artifacts.store import Store
from uvlp.core import plugins, streams
from uvlp.core.errors import UvlpError, unknown_name


def measured(store: Store) -> dict[str, Path]:
    """Finished tables by name; of several with one name the newest. Damaged ones are said and left out."""
    folders = [path.parent for path in (store.root / tables.KIND).glob(f"*/{manifest.FILE}")]
    folders.sort(key=lambda folder: (folder / manifest.FILE).stat().st_mtime_ns)
    found = {}
    for folder in folders:
        try:
            found[tables.read(folder).name] = folder
        except (UvlpError, OSError) as error:
            streams.complain(f"note   left out: {error}")
    return found


RENDER = {"markdown": tables.markdown, "latex": tables.latex, "csv": tables.comma_separated}


def show(name: str, form: str, against: str | None, store: Store) -> None:
    """Print one table, its methods compared with ``against`` in the place of random images.

    Raises:
        UvlpError: no such table, format or method.
    """
    if form not in tables.FORMATS:
        raise unknown_name("format", form, tables.FORMATS)
    found = measured(store)
    if name not in found:
        raise UvlpError(
            "no such table in the store",
            got=name,
            allowed=", ".join(sorted(found)) or "none yet",
            do=f"make one with `uvlp reproduce` or `uvlp evaluate`; store: {store.root}",
        )
    if against is None:
        print((found[name] / tables.FORMATS[form]).read_text(encoding="utf-8"), end="")
        return
    compared = plugins.load("stages", "tabulate").against(tables.read(found[name]), store.root, against)
    print(RENDER[form](compared), end="")
