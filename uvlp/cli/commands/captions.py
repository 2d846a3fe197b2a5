"""`uvlp captions import` and `check`: import existing captions, and report problems of captions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.command import Command, Group
from uvlp.cli.options import (
    VERBOSITY,
    Options,
    argument,
    dataset_option,
    path_option,
    takes,
    what_option,
)
from uvlp.cli.printing import screen
from uvlp.core.display.width import tabulated
from uvlp.core.files.paths import expand_home
from uvlp.core.wording import first_few

if TYPE_CHECKING:
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.pipeline.captions import Coverage, Imported, Tally

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Import existing captions, and check captions.",
)

FilesArgument = Annotated[
    list[Path],
    argument(metavar="FILE", help="metadata.jsonl or .csv, a JSON list, or LLaVA's answers"),
]
FileArgument = Annotated[
    Path | None,
    argument(metavar="FILE", help="captions to check [those that the dataset uses]"),
]
DatasetOption = Annotated[
    str,
    dataset_option("dataset of the images: imagenette, ..., or folder:PATH"),
]
QuestionsOption = Annotated[
    str | None,
    what_option(
        "--questions",
        metavar="FILE",
        callback=path_option,
        help="LLaVA's question file, for answers without image names",
    ),
]
FieldOption = Annotated[
    str,
    what_option(
        "--caption-field",
        metavar="NAME",
        help="field with the caption [text, caption, prompt, ...]",
    ),
]
PublishedOption = Annotated[
    bool,
    what_option(
        "--published-names",
        help="skip the images that UVLP's notebook skips (ImageWoof: 338)",
    ),
]


@app.command("import", cls=Command)
@takes("data", "variant", "store", "as_json", *VERBOSITY)
def import_captions(
    files: FilesArgument,
    dataset: DatasetOption,
    options: Options,
    questions: QuestionsOption = None,
    caption_field: FieldOption = "",
    published_names: PublishedOption = False,
) -> None:
    """Import existing captions; the next run of the dataset uses them.

    Example: uvlp captions import nette.jsonl --dataset imagenette
    """
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.pipeline import captions
    from uvlp.pipeline.requests.resolve import store_at

    spec = DatasetSpec.parse(dataset, options["data"] or "", options["variant"] or "")
    imported = captions.import_files(
        [expand_home(str(file)) for file in files],
        spec,
        store_at(options["store"]),
        questions=expand_home(questions) if questions else None,
        field=caption_field,
        published=published_names,
    )
    if options["as_json"]:
        print(json.dumps({**imported.counts, "file": str(imported.path)}, indent=1))
    else:
        _print_import(imported, spec)


def _print_import(imported: Imported, spec: DatasetSpec) -> None:
    counts = imported.counts
    screen.show(
        f"{counts['captions']} of {counts['images']} training images of {spec} now have a caption: "
        f"{imported.path}"
    )
    screen.show(
        f"rows read: {counts['rows']}, overridden by another row for the same image: {counts['overruled']}"
    )
    if counts["further"]:
        screen.show(f"additional captions in a row (not used): {counts['further']}")
    if counts["kept"] or counts["replaced"]:
        screen.show(
            f"captions of an earlier import: {counts['kept']} kept, {counts['replaced']} replaced; "
            f"to start over, delete {imported.path}"
        )
    _print_names("rows that match no image", imported.without_image)
    _print_names(
        "images without a caption (allow them with --missing-captions empty)", imported.without_caption
    )
    screen.show("used by --set caption.captioner=file, and by auto")


def _print_names(what: str, names: Sequence[str]) -> None:
    screen.show(f"{what}: {len(names)}" + (f", {first_few(names)}" if names else ""))


@app.command("check", cls=Command)
@takes("data", "variant", "store", "as_json", *VERBOSITY)
def check_captions(
    dataset: DatasetOption,
    options: Options,
    file: FileArgument = None,
    questions: QuestionsOption = None,
    caption_field: FieldOption = "",
) -> None:
    """Count images without captions, overridden rows, empty and long captions; exit 2 if any is missing.

    Example: uvlp captions check --dataset imagenette
    """
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.pipeline import captions
    from uvlp.pipeline.requests.resolve import store_at

    spec = DatasetSpec.parse(dataset, options["data"] or "", options["variant"] or "")
    coverage = captions.check(
        expand_home(str(file)) if file else None,
        spec,
        store_at(options["store"]),
        questions=expand_home(questions) if questions else None,
        field=caption_field,
    )
    if options["as_json"]:
        print(json.dumps(_as_json(coverage), indent=1, ensure_ascii=False))
    else:
        _print_check(coverage, spec)
    raise typer.Exit(2 if coverage.without_caption else 0)


def _as_json(coverage: Coverage) -> Mapping[str, object]:
    return {
        "source": coverage.source,
        "classes": {identity: asdict(tally) for identity, (_, tally) in coverage.classes.items()},
        "total": asdict(coverage.total),
        "rows_without_image": len(coverage.without_image),
        "images_without_caption": coverage.without_caption,
    }


def _print_check(coverage: Coverage, spec: DatasetSpec) -> None:
    screen.show(f"captions of {spec}: {coverage.source}\n")
    tallies = {
        identity if name == identity else f"{identity} {name}": tally
        for identity, (name, tally) in coverage.classes.items()
    }
    _print_tallies(tallies, coverage.total)
    _print_names("\nrows that match no image", coverage.without_image)
    _print_names("images without a caption", coverage.without_caption)


def _print_tallies(tallies: Mapping[str, Tally], total: Tally) -> None:
    head = ("class", "images", "missing", "empty", "overridden", "over 77 tokens")
    rows = [head, *((name, *map(str, asdict(tally).values())) for name, tally in tallies.items())]
    rows.append(("total", *map(str, asdict(total).values())))
    sizes = [0, *(max(9, len(title)) for title in head[1:])]
    aligned = [[cell.rjust(size) for cell, size in zip(row, sizes, strict=True)] for row in rows]
    for line in tabulated(aligned[0], aligned[1:], screen.width()):
        print(line)
