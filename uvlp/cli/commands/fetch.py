"""`uvlp fetch`: download datasets and published models, so that later runs need no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from uvlp.cli.options import VERBOSITY, Options, argument, how_option, takes
from uvlp.cli.printing import screen

DryRunOption = Annotated[bool, how_option("--dry-run", help="list what would be downloaded, and how much")]

if TYPE_CHECKING:
    from uvlp.pipeline.downloads.transfers import Transfer

TargetArgument = Annotated[
    str,
    argument(
        metavar="TARGET",
        help="a dataset, models (diffusion, clip, llava), or one of them, autoencoder or dit",
    ),
]


@takes("data", "variant", "settings", "store", "as_json", *VERBOSITY)
def fetch(target: TargetArgument, options: Options, dry_run: DryRunOption = False) -> None:
    """Download a dataset or the published models.

    Sizes are printed first. Later runs need no network.

    Example: uvlp fetch imagenette
    """
    from uvlp.pipeline.downloads.fetching import fetch_named, missing_of
    from uvlp.pipeline.requests.resolve import store_at
    from uvlp.pipeline.runs import log

    wanted = (target, options["data"] or "", options["variant"] or "", options["settings"] or [])
    if dry_run:
        _show(missing_of(*wanted), options["as_json"])
        return
    opened = store_at(options["store"])
    opened.begin()
    log.begin(opened.root)
    fetched = fetch_named(*wanted, opened.cache)
    if options["as_json"]:
        print(
            json.dumps({"fetched": fetched.transferred, "here": fetched.here}, indent=1, ensure_ascii=False)
        )
        return
    for row in fetched.here:
        revision = f" at {row['revision']}" if row.get("revision") else ""
        screen.show(f"{row['what']}: {row['place']}{revision}  sha256 {row['sha256']}")


def _show(transfers: Sequence[Transfer], as_json: bool) -> None:
    """Print downloads with their sizes and target folders."""
    from uvlp.core.wording import byte_size

    if as_json:
        rows = [
            {"what": each.download.what, "bytes": each.download.bytes, "folder": str(each.folder)}
            for each in transfers
        ]
        print(json.dumps({"missing": rows}, indent=1, ensure_ascii=False))
        return
    for each in transfers:
        screen.show(f"{each.download.what}: {byte_size(each.download.bytes)} into {each.folder}")
    total = sum(each.download.bytes for each in transfers)
    screen.show(f"total: {byte_size(total)} to download" if transfers else "nothing is missing")
