"""`uvlp fetch`: download datasets and published models, so that later runs need no network."""

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
        help="a dataset, models (diffusion, clip, llava), or one of them, autoencoder or dit",
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
    """Download a dataset or the published models.

    Sizes are printed first. Later runs need no network.

    Example: uvlp fetch imagenette
    """
    from uvlp.pipeline.downloads.fetching import fetch_named
    from uvlp.pipeline.requests.resolve import store_at

    opened = store_at(store)
    opened.begin()
    fetched = fetch_named(target, data or "", variant or "", settings or [], opened.cache)
    if as_json:
        print(
            json.dumps({"fetched": fetched.transferred, "here": fetched.here}, indent=1, ensure_ascii=False)
        )
        return
    for row in fetched.here:
        revision = f" at {row['revision']}" if row.get("revision") else ""
        print(f"{row['what']}: {row['place']}{revision}  sha256 {row['sha256']}")
