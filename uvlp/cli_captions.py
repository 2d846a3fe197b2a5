"""`uvlp captions import` and `uvlp captions check`: the words; `commands/captions.py` does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uvlp.cli_options import (
    DataOption,
    DebugOption,
    JsonOption,
    StoreOption,
    VariantOption,
    path_option,
)
from uvlp.core.places import expanded

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Take over captions of others, and check captions."
)

DatasetOption = Annotated[
    str, typer.Option("--dataset", help="whose training images: imagenette, ..., or folder:PATH")
]
QuestionsOption = Annotated[
    str | None,
    typer.Option(
        "--questions", callback=path_option, help="LLaVA's question file, for answers that name no image"
    ),
]
FieldOption = Annotated[
    str, typer.Option("--caption-field", help="field with the caption [text, caption, prompt, ...]")
]


@app.command("import")
def import_captions(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="metadata.jsonl or .csv, a JSON list, or LLaVA's answers"),
    ],
    dataset: DatasetOption,
    questions: QuestionsOption = None,
    caption_field: FieldOption = "",
    published_names: Annotated[
        bool,
        typer.Option("--published-names", help="leave out what UVLP's notebook does (ImageWoof: 338)"),
    ] = False,
    data: DataOption = None,
    variant: VariantOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Take over captions that others made; the next run of the dataset uses them."""
    from uvlp.artifacts.dataset_manifest import DatasetSpec
    from uvlp.commands import captions, chain

    spec = DatasetSpec.parse(dataset, data or "", variant or "")
    captions.import_files(
        [expanded(str(file)) for file in files],
        spec,
        chain.store_at(store),
        questions=expanded(questions) if questions else None,
        field=caption_field,
        published=published_names,
        as_json=as_json,
    )


@app.command("check")
def check_captions(
    dataset: DatasetOption,
    file: Annotated[
        Path | None, typer.Argument(help="captions to look at [those that the dataset uses]")
    ] = None,
    questions: QuestionsOption = None,
    caption_field: FieldOption = "",
    data: DataOption = None,
    variant: VariantOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Count images without captions, overruled rows, empty and long captions; exit 2 if any is missing."""
    from uvlp.artifacts.dataset_manifest import DatasetSpec
    from uvlp.commands import captions, chain

    spec = DatasetSpec.parse(dataset, data or "", variant or "")
    place = chain.store_at(store)
    asked = expanded(questions) if questions else None
    code = captions.check(
        expanded(str(file)) if file else None, spec, place, as_json, questions=asked, field=caption_field
    )
    raise typer.Exit(code)
