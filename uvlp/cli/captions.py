"""`uvlp captions import` and `check`: take over captions of others, report what is wrong with captions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from uvlp.artifacts import metadata_jsonl
from uvlp.artifacts.dataset import DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.captioners.texts import formats as caption_formats, imported as imported_captions
from uvlp.captioners.texts.match import Match, match
from uvlp.cli.options import DataOption, DebugOption, JsonOption, StoreOption, VariantOption, path_option
from uvlp.core.errors import UvlpError
from uvlp.core.files.places import expanded
from uvlp.core.progress import Progress, print_remark
from uvlp.core.wording import first_few
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.folders import check_store
from uvlp.pipeline.prepare import print_notes

CLIP_TOKENS = 77


@dataclass(frozen=True, slots=True)
class Tally:
    """What stands in a line of the check: counts of training images, and of rows that others overrule.

    Attributes:
        images: all of them.
        missing: those without a row.
        empty: those whose caption is empty.
        overruled: rows that a later or better row for the same image overrules.
        long: captions of more than 77 of CLIP's tokens, start and end included.
    """

    images: int
    missing: int
    empty: int
    overruled: int
    long: int

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def import_files(
    files: Sequence[Path],
    spec: DatasetSpec,
    store: Store,
    *,
    questions: Path | None,
    field: str = "",
    published: bool,
    as_json: bool,
) -> None:
    """Take over the captions of ``files`` for a dataset and print what became of the rows.

    Args:
        files: as `captioners/texts/formats.py` knows them; of several rows for an image the last counts.
        spec: the dataset.
        store: where the captions are kept.
        questions: LLaVA's question file, for answers that name no image.
        field: name of the field with the caption; empty: as the conventions have it.
        published: match names without a folder as UVLP's notebook does.
        as_json: print the counts as JSON.

    Raises:
        UvlpError: a broken line, no row that belongs to an image, two files that say different things of an
            image, or a store that cannot be written.
    """
    check_store(store.root, spec)
    store.begin()
    dataset = _opened(spec, store)
    images = _images(dataset)
    rows = {file: list(caption_formats.read_rows([file], questions, field)) for file in files}
    _check_agreement({file: match(part, images, published=published) for file, part in rows.items()})
    found = match([row for part in rows.values() for row in part], images, published=published)
    if len(found.without_caption) == len(images):
        raise UvlpError(
            f"no caption in these files is for a training image of {spec}",
            got=first_few(found.without_image) or "no rows with a text",
            allowed=f"names such as {first_few(images)}",
        )
    store.prepare()
    path = imported_captions.place(store.root, spec, dataset.manifest)
    texts, kept, replaced = _with_earlier(path, found.texts)
    imported_captions.write(path, texts)
    lacking = [name for name, text in texts.items() if not text.strip()]
    further = sum(row.further for part in rows.values() for row in part)
    counts = {**_counts(found, len(images), len(lacking)), "further": further}
    counts |= {"kept": kept, "replaced": replaced}
    if as_json:
        print(json.dumps({**counts, "file": str(path)}, indent=1))
        return
    _print_counts(counts, spec, path)
    _name("rows without an image of their own", found.without_image)
    _name("images without a caption (allow them with --missing-captions empty)", lacking)
    print("used by --set caption.captioner=file, and by auto")


def _counts(found: Match, images: int, lacking: int) -> dict[str, int]:
    """What became of the rows, and of the training images."""
    return {
        "rows": found.rows,
        "images": images,
        "captions": images - lacking,
        "overruled": sum(found.overruled.values()),
        "without_image": len(found.without_image),
        "without_caption": lacking,
    }


def _print_counts(counts: Mapping[str, int], spec: DatasetSpec, path: Path) -> None:
    print(f"{counts['captions']} of {counts['images']} training images of {spec} have a caption now: {path}")
    print(f"rows read: {counts['rows']}, overruled by another row for the same image: {counts['overruled']}")
    if counts["further"]:
        print(f"further captions in a row, which are not used: {counts['further']}")
    if counts["kept"] or counts["replaced"]:
        print(
            f"captions of an earlier import: {counts['kept']} kept, {counts['replaced']} replaced; "
            f"to begin anew delete {path}"
        )


def _opened(spec: DatasetSpec, store: Store) -> Any:
    dataset = open_dataset(spec, store.cache, Progress(print_remark, "dataset"))
    print_notes(str(spec), dataset.manifest)
    return dataset


def _check_agreement(matches: Mapping[Path, Match]) -> None:
    """No image has different captions in two files; within a file the last row counts.

    Raises:
        UvlpError: some have.
    """
    first: dict[str, tuple[str, Path]] = {}
    differing = []
    for file, found in matches.items():
        for image, text in found.texts.items():
            if text.strip():
                known, by = first.setdefault(image, (text, file))
                if known.strip() != text.strip():
                    differing.append(f"{image}: {by} and {file}")
    if differing:
        raise UvlpError(
            f"two files give {len(differing)} images different captions",
            got=first_few(differing),
            do="import the one that counts, or one after the other: the later import then counts; answers of "
            "LLaVA whose numbers begin anew need each its own question file",
        )


def _with_earlier(path: Path, texts: Mapping[str, str]) -> tuple[dict[str, str], int, int]:
    """The captions with those of an earlier import that the new ones say nothing of; kept and replaced."""
    earlier = metadata_jsonl.parse(path).texts if path.is_file() else {}
    both = {name: text if text.strip() else earlier.get(name, "") for name, text in texts.items()}
    kept = sum(name in earlier and not text.strip() for name, text in texts.items())
    replaced = sum(name in earlier and both[name] != earlier[name] for name in both)
    return both, kept, replaced


def _images(dataset: Any) -> list[str]:
    return [name.removeprefix("train/") for name in dataset.files("train")]


def _name(what: str, names: Sequence[str]) -> None:
    print(f"{what}: {len(names)}" + (f", {first_few(names)}" if names else ""))


def check(
    file: Path | None,
    spec: DatasetSpec,
    store: Store,
    as_json: bool,
    *,
    questions: Path | None = None,
    field: str = "",
) -> int:
    """Print coverage, overruled rows, empty and long captions per class; 0 if no caption is missing, else 2.

    Args:
        file: captions to look at; None for those that the dataset would use.
        spec: the dataset.
        store: that holds imported captions.
        as_json: print the counts as JSON.
        questions: LLaVA's question file, for answers in ``file`` that name no image.
        field: name of the field with the caption in ``file``; empty: as the conventions have it.

    Raises:
        UvlpError: a broken line, or no captions at all.
    """
    check_store(store.root, spec)
    store.begin()
    dataset = _opened(spec, store)
    if file is None:
        source, rows = _rows(spec, dataset, store)
    else:
        source, rows = str(file), list(caption_formats.read_rows([file], questions, field))
    found = match(rows, _images(dataset))
    named = {info.id: info.name for info in dataset.manifest.classes}
    tallies = _tallies(found, list(named), dataset.labels("train"))
    total = sum(tallies.values(), Tally(0, 0, 0, 0, 0))
    lacking = found.without_caption
    if as_json:
        content = {
            "source": source,
            "classes": {name: asdict(tally) for name, tally in tallies.items()},
            "total": asdict(total),
            "rows_without_image": len(found.without_image),
            "images_without_caption": lacking,
        }
        print(json.dumps(content, indent=1, ensure_ascii=False))
    else:
        print(f"captions of {spec}: {source}\n")
        titles = {name: name if title == name else f"{name} {title}" for name, title in named.items()}
        _print_tallies({titles[name]: tally for name, tally in tallies.items()}, total)
        _name("\nrows without an image of their own", found.without_image)
        _name("images without a caption", lacking)
    return 2 if lacking else 0


def _rows(spec: DatasetSpec, dataset: Any, store: Store) -> tuple[str, Sequence[Sequence[Any]]]:
    """Where the captions that the dataset uses are from, and their rows."""
    file = imported_captions.find(store.root, spec, dataset.manifest)
    if file is not None:
        return str(file), list(caption_formats.read_rows([file]))
    own = dataset.captions()
    if own is None:
        raise UvlpError(
            f"{spec} has no captions",
            got="no metadata.jsonl, no texts beside the images, nothing imported",
            do="import some with `uvlp captions import FILE`, or name a file to check",
        )
    return "the dataset's own", list(own.items())


def _tallies(found: Match, class_ids: Sequence[str], labels: Sequence[int]) -> dict[str, Tally]:
    """A tally per class."""
    images, missing, empty, overruled, long = (Counter[str]() for _ in range(5))
    lengths = _token_counts(list(found.texts.values()))
    for label, (name, text), tokens in zip(labels, found.texts.items(), lengths, strict=True):
        identity = class_ids[label]
        images[identity] += 1
        missing[identity] += name not in found.with_rows
        empty[identity] += name in found.with_rows and not text.strip()
        overruled[identity] += found.overruled.get(name, 0)
        long[identity] += tokens > CLIP_TOKENS
    return {
        identity: Tally(*(counts[identity] for counts in (images, missing, empty, overruled, long)))
        for identity in class_ids
    }


def _token_counts(texts: Sequence[str]) -> list[int]:
    """CLIP's tokens per text, start and end included."""
    from open_clip.tokenizer import SimpleTokenizer

    tokenizer = SimpleTokenizer()
    return [len(tokenizer.encode(text)) + 2 for text in texts]


def _print_tallies(tallies: Mapping[str, Tally], total: Tally) -> None:
    head = ("class", "images", "missing", "empty", "overruled", f"over {CLIP_TOKENS} tokens")
    rows = [head, *((name, *map(str, asdict(tally).values())) for name, tally in tallies.items())]
    rows.append(("total", *map(str, asdict(total).values())))
    width = max(len(row[0]) for row in rows)
    for name, *cells in rows:
        print(
            f"{name:<{width}}"
            + "".join(f"  {cell:>{max(9, len(title))}}" for cell, title in zip(cells, head[1:], strict=True))
        )


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
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.cli.request import store_at

    spec = DatasetSpec.parse(dataset, data or "", variant or "")
    import_files(
        [expanded(str(file)) for file in files],
        spec,
        store_at(store),
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
    from uvlp.artifacts.dataset import DatasetSpec
    from uvlp.cli.request import store_at

    spec = DatasetSpec.parse(dataset, data or "", variant or "")
    place = store_at(store)
    asked = expanded(questions) if questions else None
    code = check(
        expanded(str(file)) if file else None, spec, place, as_json, questions=asked, field=caption_field
    )
    raise typer.Exit(code)
