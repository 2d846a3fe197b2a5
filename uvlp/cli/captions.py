"""`uvlp captions import` and `check`: take over captions of others, report what is wrong with captions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.options import (
    WHAT,
    Command,
    DataOption,
    DebugOption,
    JsonOption,
    StoreOption,
    VariantOption,
    path_option,
)
from uvlp.core.files.places import expanded
from uvlp.core.wording import first_few

if TYPE_CHECKING:
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.pipeline.captions import Coverage, Imported, Tally

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Take over captions of others, and check captions."
)

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE", help="metadata.jsonl or .csv, a JSON list, or LLaVA's answers", rich_help_panel=WHAT
    ),
]
FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="captions to look at [those that the dataset uses]", rich_help_panel=WHAT
    ),
]
DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="whose training images: imagenette, ..., or folder:PATH",
        rich_help_panel=WHAT,
    ),
]
QuestionsOption = Annotated[
    str | None,
    typer.Option(
        "--questions",
        metavar="FILE",
        callback=path_option,
        help="LLaVA's question file, for answers that name no image",
        rich_help_panel=WHAT,
    ),
]
FieldOption = Annotated[
    str,
    typer.Option(
        "--caption-field",
        metavar="NAME",
        help="field with the caption [text, caption, prompt, ...]",
        rich_help_panel=WHAT,
    ),
]
PublishedOption = Annotated[
    bool,
    typer.Option(
        "--published-names",
        help="leave out what UVLP's notebook does (ImageWoof: 338)",
        rich_help_panel=WHAT,
    ),
]


@app.command("import", cls=Command)
def import_captions(
    files: FilesArgument,
    dataset: DatasetOption,
    questions: QuestionsOption = None,
    caption_field: FieldOption = "",
    published_names: PublishedOption = False,
    data: DataOption = None,
    variant: VariantOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take over captions that others made; the next run of the dataset uses them.

    Example: uvlp captions import nette.jsonl --dataset imagenette
    """
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.cli.request import store_at
    from uvlp.pipeline import captions

    spec = DatasetSpec.parse(dataset, data or "", variant or "")
    found = captions.import_files(
        [expanded(str(file)) for file in files],
        spec,
        store_at(store),
        questions=expanded(questions) if questions else None,
        field=caption_field,
        published=published_names,
    )
    if as_json:
        print(json.dumps({**found.counts, "file": str(found.path)}, indent=1))
    else:
        _print_import(found, spec)


def _print_import(found: Imported, spec: DatasetSpec) -> None:
    counts = found.counts
    print(
        f"{counts['captions']} of {counts['images']} training images of {spec} have a caption now: "
        f"{found.path}"
    )
    print(f"rows read: {counts['rows']}, overridden by another row for the same image: {counts['overruled']}")
    if counts["further"]:
        print(f"further captions in a row, which are not used: {counts['further']}")
    if counts["kept"] or counts["replaced"]:
        print(
            f"captions of an earlier import: {counts['kept']} kept, {counts['replaced']} replaced; "
            f"to begin anew delete {found.path}"
        )
    _print_names("rows without an image of their own", found.without_image)
    _print_names("images without a caption (allow them with --missing-captions empty)", found.without_caption)
    print("used by --set caption.captioner=file, and by auto")


def _print_names(what: str, names: Sequence[str]) -> None:
    print(f"{what}: {len(names)}" + (f", {first_few(names)}" if names else ""))


@app.command("check", cls=Command)
def check_captions(
    dataset: DatasetOption,
    file: FileArgument = None,
    questions: QuestionsOption = None,
    caption_field: FieldOption = "",
    data: DataOption = None,
    variant: VariantOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Count images without captions, overridden rows, empty and long captions; exit 2 if any is missing.

    Example: uvlp captions check --dataset imagenette
    """
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.cli.request import store_at
    from uvlp.pipeline import captions

    spec = DatasetSpec.parse(dataset, data or "", variant or "")
    found = captions.check(
        expanded(str(file)) if file else None,
        spec,
        store_at(store),
        questions=expanded(questions) if questions else None,
        field=caption_field,
    )
    if as_json:
        print(json.dumps(_as_json(found), indent=1, ensure_ascii=False))
    else:
        _print_check(found, spec)
    raise typer.Exit(2 if found.without_caption else 0)


def _as_json(found: Coverage) -> Mapping[str, object]:
    return {
        "source": found.source,
        "classes": {identity: asdict(tally) for identity, (_, tally) in found.classes.items()},
        "total": asdict(found.total),
        "rows_without_image": len(found.without_image),
        "images_without_caption": found.without_caption,
    }


def _print_check(found: Coverage, spec: DatasetSpec) -> None:
    print(f"captions of {spec}: {found.source}\n")
    tallies = {
        identity if name == identity else f"{identity} {name}": tally
        for identity, (name, tally) in found.classes.items()
    }
    _print_tallies(tallies, found.total)
    _print_names("\nrows without an image of their own", found.without_image)
    _print_names("images without a caption", found.without_caption)


def _print_tallies(tallies: Mapping[str, Tally], total: Tally) -> None:
    head = ("class", "images", "missing", "empty", "overridden", "over 77 tokens")
    rows = [head, *((name, *map(str, asdict(tally).values())) for name, tally in tallies.items())]
    rows.append(("total", *map(str, asdict(total).values())))
    width = max(len(row[0]) for row in rows)
    for name, *cells in rows:
        print(
            f"{name:<{width}}"
            + "".join(f"  {cell:>{max(9, len(title))}}" for cell, title in zip(cells, head[1:], strict=True))
        )
