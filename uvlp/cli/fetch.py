"""`uvlp fetch`: get datasets and published models, announced first; afterwards nothing needs the network."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from uvlp.cli.options import (
    WHAT,
    DataOption,
    DebugOption,
    JsonOption,
    SetOption,
    StoreOption,
    VariantOption,
)

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="a dataset, models (all three), or diffusion, autoencoder, clip or llava alone",
        rich_help_panel=WHAT,
    ),
]


def fetch(
    target: TargetArgument,
    data: DataOption = None,
    variant: VariantOption = None,
    settings: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Fetch a dataset or the published models; sizes first, and afterwards nothing needs the network.

    Example: uvlp fetch imagenette
    """
    from uvlp.cli.request import store_at
    from uvlp.pipeline.fetching import fetch_named

    opened = store_at(store)
    opened.begin()
    found = fetch_named(target, data or "", variant or "", settings or [], opened.cache)
    if as_json:
        print(json.dumps({"fetched": found.transferred, "here": found.here}, indent=1, ensure_ascii=False))
        return
    for row in found.here:
        revision = f" at {row['revision']}" if row.get("revision") else ""
        print(f"{row['what']}: {row['place']}{revision}  sha256 {row['sha256']}")
