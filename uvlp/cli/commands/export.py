"""`uvlp export`: images for the use of others, or an archive of results."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from uvlp.cli import completion
from uvlp.cli.options import (
    VERBOSITY,
    Options,
    argument,
    how_option,
    output_option,
    path_option,
    takes,
    what_option,
)
from uvlp.cli.printing import screen
from uvlp.core.errors import UvlpError

if TYPE_CHECKING:
    from uvlp.artifacts.store import Store

NamesArgument = Annotated[
    list[str] | None,
    argument(
        metavar="ARTIFACT",
        autocompletion=completion.images,
        help="distilled images by key or name, see `uvlp list images`; with --results tables [all]",
        show_default=False,
    ),
]
ResultsOption = Annotated[
    bool,
    what_option("--results", help="pack tables with their scores, for `uvlp verify` elsewhere"),
]
OutOption = Annotated[
    str,
    output_option(
        "--out",
        metavar="PATH",
        callback=path_option,
        help="new folder of the images; with --results a new file, .tar or .tar.gz",
    ),
]
PushOption = Annotated[
    str | None,
    how_option(
        "--push",
        metavar="OWNER/NAME",
        help="upload the folder to this dataset repository of the hub; a new one is private",
    ),
]


@takes("store", "as_json", *VERBOSITY)
def export(
    options: Options,
    names: NamesArgument = None,
    out: OutOption = ...,  # type: ignore[assignment]
    results: ResultsOption = False,
    push: PushOption = None,
) -> None:
    """Write distilled images as a folder with a card, and upload it; or pack results.

    Example: uvlp export uvlp-seed-0 --out published
    """
    from uvlp.core.files.paths import expand_home
    from uvlp.pipeline.requests.resolve import store_at

    opened, target = store_at(options["store"]), expand_home(out)
    if results:
        if push is not None:
            raise UvlpError("--push with --results", got=push, fix="upload the file yourself")
        _results(names or [], opened, target, options["as_json"])
        return
    if names is None or len(names) != 1:
        raise UvlpError(
            "one distilled set is exported at a time",
            got=" ".join(names or []) or "none",
            allowed="a key or a name, see `uvlp list images`",
        )
    _images(names[0], opened, target, push, options["as_json"])


def _images(name: str, store: Store, out: Path, push: str | None, as_json: bool) -> None:
    from uvlp.core.display import views
    from uvlp.core.progress import Progress
    from uvlp.exchange import export_folder, export_sets, hub_push

    repository = "" if push is None else hub_push.check_repository(push)
    chosen = export_sets.find(name, store)
    view, began = views.view(1 + bool(repository)), time.monotonic()
    try:
        title = f"export {chosen.name}"
        view.begin(title)
        done = export_folder.export(
            chosen, store, out, repository, Progress(partial(view.event, title), title)
        )
        view.end(title, time.monotonic() - began)
        commit = ""
        if repository:
            title, began = f"push to {repository}", time.monotonic()
            view.begin(title)
            commit = hub_push.push(done.folder, repository, Progress(partial(view.event, title), title))
            view.end(title, time.monotonic() - began)
    finally:
        view.close()
    address = f"hf://{repository}@{commit}" if commit else ""
    line = done.card.line(address or str(done.folder))
    if as_json:
        found = {"folder": str(done.folder), "artifact": chosen.artifact, "new": done.new}
        found |= {"address": address, "images": done.card.images, "evaluate": line}
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    screen.show(f"{done.card.images} images in {done.folder}{'' if done.new else ', unchanged'}")
    if address:
        screen.show(f"published as {address}")
    print(f"score them with: {line}")


def _results(names: list[str], store: Store, out: Path, as_json: bool) -> None:
    from uvlp.exchange import results_archive

    packed = results_archive.pack(names, store, out)
    if as_json:
        found = {"file": str(packed.file), "sha256": packed.sha256, "artifacts": packed.artifacts}
        print(json.dumps({**found, "tables": packed.tables}, indent=1, ensure_ascii=False))
        return
    count = len(packed.tables)
    screen.show(f"{count} table{'s' * (count != 1)}, {len(packed.artifacts)} artifacts in {packed.file}")
    print(f"check them elsewhere with: tar -xf {packed.file.name} && uvlp verify --store {packed.root}")
