"""Third-party packages with plug-ins, as installed: modules, and a folder of metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from uvlp.core import plugins
from uvlp.declarations.captioner import declared_captioner
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.method import declared_method
from uvlp.declarations.network import declared_network
from uvlp.declarations.protocol import declared_protocol


def install(
    folder: Path,
    name: str,
    files: Mapping[str, str],
    entry_points: Mapping[str, Mapping[str, str]],
    version: str = "1.0",
) -> None:
    """Write modules below ``folder``, and the metadata that declares their plug-ins.

    Args:
        name: of the distribution.
        files: text by path.
        entry_points: modules by name of the plug-in, by package (e.g. "networks").
    """
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (metadata / "METADATA").write_text(about, encoding="utf-8")
    lines = []
    for room, points in entry_points.items():
        lines += [f"[uvlp.{room}]", *(f"{plugin} = {module}" for plugin, module in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Context in which the packages installed in ``folder`` are importable in this process."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(folder)
            _forget()
            yield
    finally:
        _forget()


def _forget() -> None:
    plugins._entry_points.cache_clear()
    for reader in (
        declared_captioner,
        declared_dataset,
        declared_method,
        declared_network,
        declared_protocol,
    ):
        reader.cache_clear()
