"""The dataset card of exported images: origin and terms, numbers, the line that repeats them, classes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from uvlp.artifacts.dataset import DatasetManifest
from uvlp.artifacts.tables import MEANINGLESS
from uvlp.core.wording import in_markdown
from uvlp.declarations.dataset import declared_dataset
from uvlp.exchange.export_lines import dataset_option
from uvlp.exchange.export_scores import Scored
from uvlp.exchange.export_sets import DistilledSet

HUB_LICENCES = {"CC BY 4.0": "cc-by-4.0"}
"""The hub's identifiers of licences, by the beginning of what a dataset states."""
SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
UNKNOWN_TERMS = "not stated: these are images of a folder, or derived from such images"
FOLDER = "PATH"
EXPECTED = (
    "Top-1 accuracy in percent on the dataset's own test images. *Expected*: where the mean of as many new "
    "trainings falls with 95 % probability. The same packages and kind of processor give the same bits."
)
HEAD = "| line | network | protocol | trainings | pass | mean ± std | 95 % of the mean | expected |"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFolder:
    """A class in an exported folder: label, id, readable name, name of its folder."""

    index: int
    id: str
    name: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a card says.

    Attributes:
        chosen: the distilled set.
        dataset: what it was distilled from.
        classes: in label order.
        images: their number.
        kind: what they are, e.g. "real images of the dataset".
        scored: what is known about their scores.
        address: ``hf://OWNER/NAME@main``; empty if it is not known yet.
    """

    chosen: DistilledSet
    dataset: DatasetManifest
    classes: tuple[ClassFolder, ...]
    images: int
    kind: str
    scored: tuple[Scored, ...]
    address: str

    @property
    def title(self) -> str:
        """One line: what was distilled by what."""
        return f"{self.dataset.name}, {self.chosen.ipc} images per class, {self.chosen.name}"

    def line(self, place: str) -> str:
        """The first line that scores the images in a folder, or at an address."""
        words = self.scored[0].line.words if self.scored else self.usual
        return f"uvlp evaluate {shlex.quote(place)} {shlex.join(words)}"

    @property
    def usual(self) -> tuple[str, ...]:
        """Options with the dataset's usual settings, where no score is known."""
        return "--dataset", dataset_option(self.dataset)

    @property
    def terms(self) -> str:
        """Licence or terms of the source images."""
        return declared_dataset(self.dataset.name).licence or UNKNOWN_TERMS


def card_text(card: Card) -> str:
    """Return the text of README.md."""
    parts = [_head(card), _about(card), _numbers(card), _loading(card), _classes(card)]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _head(card: Card) -> str:
    """The hub's metadata; JSON texts are YAML texts."""
    size = next((name for limit, name in SIZES.items() if card.images < limit), "10M<n<100M")
    known = next((name for terms, name in HUB_LICENCES.items() if card.terms.startswith(terms)), "")
    licence = [f"license: {known}"] if known else ["license: other", f"license_name: {_quoted(card.terms)}"]
    lines = [
        "---",
        f"pretty_name: {_quoted(card.title)}",
        *licence,
        "task_categories:\n- image-classification",
        "tags:\n- dataset-distillation",
        f"size_categories:\n- {size}",
        "---",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _about(card: Card) -> str:
    chosen, made = card.chosen, card.chosen.content.get("made", {})
    version = f"UVLP {made.get('versions', {}).get('uvlp', '')}".strip()
    source = card.dataset.source + (f", variant {card.dataset.variant}" if card.dataset.variant else "")
    rows = {
        "distilled from": f"{in_markdown(source)}; content SHA-256 `{card.dataset.content_hash}`",
        "terms of that source": in_markdown(card.terms),
        "artifact": f"`{chosen.artifact}`, made {made.get('at', 'at an unrecorded time')} by {version}",
        "settings, seeds, versions": "`uvlp_export.json`",
        "integrity": "`sha256sum --check SHA256SUMS`",
    }
    if {"precision", "models"} & {*chosen.content["facts"]}:
        rows["made with"] = "published models, whose licences apply as well"
    return "\n".join(
        [
            f"# {in_markdown(card.title)}",
            "",
            f"{card.images} {card.kind}, {chosen.ipc} for each of {len(card.classes)} classes.",
            "",
            *("| | |", "| --- | --- |"),
            *(f"| {name} | {text} |" for name, text in rows.items()),
        ]
    )


def _numbers(card: Card) -> str:
    place = card.address or FOLDER
    lines = ["## Score", ""]
    if not card.scored:
        lines += ["No score of these images is known. With the usual settings of the dataset:", ""]
        return "\n".join([*lines, *_command(place, card.usual), "", *_where(card)])
    lines += [EXPECTED, "", HEAD, "| --- " * HEAD.count(" | ") + "| --- |"]
    lines += [row for number, one in enumerate(card.scored, 1) for row in _rows(number, one)]
    lines += ["", *_where(card)]
    for number, one in enumerate(card.scored, 1):
        lines += ["", f"Line {number}:", "", *_command(place, one.line.words)]
        notes = list(one.line.notes)
        if one.line.profile == "nano":
            notes.append(f"profile nano: two steps everywhere, {MEANINGLESS}")
        lines += ["", *[f"- {note}" for note in notes]] if notes else []
    return "\n".join(lines)


def _rows(number: int, one: Scored) -> Iterator[str]:
    for which, summary, expected in zip(("best", "last"), (one.best, one.last), one.expected, strict=True):
        cells = [
            *(str(number), one.network, one.protocol, str(summary.trainings), which, summary.show()),
            summary.show_interval() or "one training",
            f"{expected[0]:.1f} to {expected[1]:.1f}" if expected else "no spread is known",
        ]
        yield f"| {' | '.join(cells)} |"


def _where(card: Card) -> list[str]:
    teacher = "A teacher is trained where the protocol has one; the order of the classes is compared first."
    if card.address:
        return [f"{teacher} `@main` may be any branch, tag or commit; a commit never changes."]
    return [f"{teacher} `{FOLDER}` is this folder; on the hub it is `hf://OWNER/NAME@COMMIT`."]


def _command(place: str, words: Sequence[str]) -> list[str]:
    return ["```bash", f"uvlp evaluate {place} {shlex.join(words)}", "```"]


def _loading(card: Card) -> str:
    order = (
        ""
        if card.classes[0].folder == card.classes[0].id
        else (" The folders are numbered, because the sorted ids are not in the order of the labels.")
    )
    return f"""
## Load

```python
from datasets import load_dataset
from torchvision.datasets import ImageFolder

images = load_dataset("imagefolder", data_dir="{FOLDER}", split="train")
images = ImageFolder("{FOLDER}/train")
```

`label` is the index of the class in the dataset's own order, which is also that of the sorted folders.{order}
`train/metadata.jsonl` has one line per image: `file_name`, `label`, `class_id`, `class_name`, and where there
is one `text` (the prompt or caption) and `source` (the file of a real image in its dataset).
"""


def _classes(card: Card) -> str:
    rows = [f"| {one.index} | {in_markdown(one.id)} | {in_markdown(one.name)} |" for one in card.classes]
    return "\n".join(["## Classes", "", "| label | id | name |", "| --- | --- | --- |", *rows])
