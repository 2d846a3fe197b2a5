"""The card of a repository (`README.md`): its configurations, and which files belong to one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.datasets.files.images.image_files import EXTENSIONS
from uvlp.datasets.hub.address import Address

CARD, OLD_INFOS = "README.md", "dataset_infos.json"
DESCRIPTIONS = (CARD, OLD_INFOS)
"""Files that describe a repository."""
CONVERTED = "refs/convert/parquet"
"""The branch with the hub's own conversion, which has a folder per configuration and no card."""
FILES = (
    *("*.parquet", "*metadata.csv", "*metadata.jsonl"),
    *(f"*{ending}" for lower in EXTENSIONS for ending in (lower, lower.upper())),
)
"""Files that are read; a loading script is not, it could run any code."""


@dataclass(frozen=True, slots=True)
class Part:
    """A configuration of a repository.

    Attributes:
        name: its name; empty for a repository without any.
        card: the card's statements about it, as the library `datasets` reads them.
        patterns: of the files that belong to it.
        licence: as the card states it; may be empty.
    """

    name: str
    card: Mapping[str, Any]
    patterns: tuple[str, ...]
    licence: str


def read(snapshot: Path, address: Address) -> Part:
    """Read the card in a folder, and choose the configuration.

    Raises:
        UvlpError: a card that cannot be read, or names files elsewhere; no such configuration, or several
            and none is named.
    """
    card = _card(snapshot / CARD, address)
    licence = str(card.get("license") or "") if isinstance(card.get("license"), str) else ""
    configs = [each for each in _listed(card.get("configs")) if each.get("config_name")]
    if not configs:
        return Part(address.config, {}, _converted(address), licence)
    config = _chosen(configs, address)
    patterns = tuple(_patterns(config, address))
    infos = [each for each in _listed(card.get("dataset_info")) if _of(each, config)]
    kept = {"configs": [config], **({"dataset_info": infos[0]} if infos else {})}
    return Part(config["config_name"], kept, patterns or FILES, licence)


def _card(path: Path, address: Address) -> Mapping[str, Any]:
    from huggingface_hub import metadata_load

    if not path.is_file():
        return {}
    try:
        found = metadata_load(path)
    except Exception as error:  # of the reader of YAML, which the hub's library does not wrap
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UvlpError(f"hf:{address.repository}: its card cannot be read", got=got) from error
    return found if isinstance(found, dict) else {}


def _listed(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [each for each in items if isinstance(each, dict)]


def _of(info: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    return info.get("config_name", "default") == config["config_name"]


def _converted(address: Address) -> tuple[str, ...]:
    return (f"{address.config}/*",) if address.config else FILES


def _chosen(configs: Sequence[dict[str, Any]], address: Address) -> dict[str, Any]:
    by_name = {str(each["config_name"]): each for each in configs}
    if address.config:
        if address.config not in by_name:
            raise unknown_name("configuration of the dataset", address.config, by_name)
        return by_name[address.config]
    usual = [each for name, each in by_name.items() if name == "default" or each.get("default") is True]
    if len(by_name) > 1 and len(usual) != 1:
        raise needs_config(address, by_name)
    return usual[0] if usual else configs[0]


def needs_config(address: Address, names: Iterator[str] | Sequence[str] | Mapping[str, Any]) -> UvlpError:
    """Return the error for a repository with several configurations of which none is named."""
    return UvlpError(
        f"hf:{address.repository} has several configurations",
        got="none named",
        allowed=", ".join(names),
        fix=f"name one behind the address: hf:{address.title},config=NAME",
    )


def _patterns(config: Mapping[str, Any], address: Address) -> Iterator[str]:
    """Yield the patterns of files that a configuration lists.

    Raises:
        UvlpError: one lies outside of the repository.
    """
    stated = config.get("data_files")
    groups = stated if isinstance(stated, list) else [stated]
    paths = [each.get("path") if isinstance(each, dict) else each for each in groups]
    folder = config.get("data_dir")
    for path in (item for each in paths for item in (each if isinstance(each, list) else [each])):
        if path is not None or folder is not None:
            pattern = PurePosixPath(str(folder or ""), str(path or "*"))
            if pattern.is_absolute() or ".." in pattern.parts or ":" in str(pattern):
                what = f"hf:{address.repository}: its card names files outside of the repository"
                raise UvlpError(what, got=str(pattern))
            yield str(pattern).replace("**/", "*").replace("**", "*")
