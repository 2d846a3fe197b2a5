"""Per class: real nearest neighbour, nearest member and synthesised image, with what is known of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uvlp.artifacts.prototypes import Prototype
from uvlp.report.blocks import Card, Gallery, Panel, Picture, Shelf
from uvlp.report.pictures import Pictures, as_uri, evenly
from uvlp.report.run import Method, Run, described

if TYPE_CHECKING:
    import numpy

    from uvlp.artifacts.distilled import Entry

PICTURES = 1200
"""Pictures of the section; of many classes fewer images each are shown."""
SEARCHED = 150
"""Training images of a class up to which all are compared in pixels."""
CANDIDATES = 12
"""Of a larger class: those nearest to the prototype's latent, which are then compared in pixels."""
COMPARED_PX = 16


def panel(run: Run, pictures: Pictures) -> Panel:
    """Return the section with one shelf per class."""
    lead = (
        "From left to right: the training image of the class that is nearest to the synthesised one in "
        f"pixels (both at {COMPARED_PX} px), the nearest member of its cluster, and the synthesised image. "
        "A synthesised image that equals its neighbour is a copy."
    )
    result = Panel(id="classes", title="Prototypes", lead=lead)
    methods = [method for method in run.methods if _is_made(pictures, method)]
    if not methods:
        result.left_out.append("No method of this run has synthesised images in the store.")
        return result
    if pictures.dataset is None:
        result.left_out.append(f"Real images: {pictures.why_no_dataset}.")
    count = len(run.class_names)
    slots = max(1, PICTURES // (3 * len(methods) * count))
    neighbours = _Neighbours(run, pictures)
    shelves: list[Shelf] = []
    for label in range(count):
        cards = [
            card
            for method in methods
            for card in _cards(pictures, neighbours, method, label, evenly(max(1, run.ipc), slots))
        ]
        if cards:
            shelves.append(Shelf(title=run.class_names[label], cards=cards, opened=not shelves))
    result.blocks.append(Gallery(shelves=shelves))
    if slots < run.ipc:
        result.left_out.append(f"Of {run.ipc} images per class {slots} are shown for each method.")
    if neighbours.thinned:
        result.left_out.append(
            f"Nearest neighbours of large classes are sought among {CANDIDATES} images of nearest latents."
        )
    return result


def _is_made(pictures: Pictures, method: Method) -> bool:
    return any(entry.file_name and not entry.source for entry in pictures.entries(method)[:1])


def _cards(
    pictures: Pictures, neighbours: _Neighbours, method: Method, label: int, slots: Sequence[int]
) -> Iterator[Card]:
    entries = pictures.of_class(method).get(label, [])
    known = neighbours.prototypes(method)
    for entry in (entries[slot] for slot in slots if slot < len(entries)):
        prototype = known.get(entry.file_name)
        image = pictures.image(method, entry)
        found = neighbours.find(method, label, entry.file_name, image)
        shown = [
            Picture(
                uri=as_uri(real, webp=True), label=f"{name}", text=f"{name} of {entry.class_name}: {file}"
            )
            for name, (file, real) in found.items()
        ]
        made = f"image synthesised by {method.title} for {entry.class_name}"
        shown.append(Picture(uri=as_uri(image, webp=True), label="synthesised", text=made))
        yield Card(pictures=shown, lines=list(_about(entry, prototype)), group=method.title)


def _about(entry: Entry, prototype: Prototype | None) -> Iterator[str]:
    """Lines about an image: its text, then numbers of its prototype."""
    if entry.text:
        yield f"“{entry.text}”"
    if prototype is None:
        return
    details = prototype.details
    count = len(prototype.members)
    size = f"{count} image{'s' * (count != 1)} in its cluster"
    averaged = len(prototype.latent_members)
    yield f"{size}, {averaged} latents averaged" if averaged < len(prototype.members) else size
    if "cluster_alpha" in details:
        values = (f"{level} {details[f'{level}_alpha']:.2f}" for level in ("global", "class", "cluster"))
        yield f"α: {', '.join(values)}"
    scores = details.get("hub_scores")
    if scores:
        yield f"hub score {max(scores):.3f}, mean of the cluster {sum(scores) / len(scores):.3f}"
    if "score" in details:
        yield f"caption score {details['score']}"


class _Neighbours:
    """Training images near to synthesised ones.

    Attributes:
        thinned: whether in some class not all images were compared.
    """

    def __init__(self, run: Run, pictures: Pictures) -> None:
        self._run, self._pictures = run, pictures
        self.thinned = False
        self._prototypes: dict[str, dict[str, Prototype]] = {}
        self._latents: dict[str, Any] = {}
        self._small: dict[int, tuple[numpy.ndarray, numpy.ndarray]] = {}
        self._label = -1

    def prototypes(self, method: Method) -> Mapping[str, Prototype]:
        """Return the prototypes of a method by the file name of their image."""
        if method.name not in self._prototypes:
            every = described(method)
            names = [f"{each.class_id}/{each.slot:05d}.png" for each in every]
            self._prototypes[method.name] = dict(zip(names, every, strict=True))
            if method.prototypes is not None:
                from uvlp.artifacts import prototypes

                stored = prototypes.read(method.prototypes.folder)[0]
                self._latents[method.name] = dict(zip(names, stored, strict=True))
        return self._prototypes[method.name]

    def find(
        self, method: Method, label: int, name: str, image: numpy.ndarray
    ) -> dict[str, tuple[str, numpy.ndarray]]:
        """Return file and image of the nearest neighbour and of the nearest member, as far as known."""
        import numpy

        if self._pictures.dataset is None:
            return {}
        self._forget_others(label)
        prototype = self.prototypes(method).get(name)
        latent = self._latents.get(method.name, {}).get(name)
        candidates = self._candidates(label, latent)
        small = _shrink(image)
        distances = [((self._load([row])[row][1] - small) ** 2).sum() for row in candidates]
        found = {"nearest real": candidates[int(numpy.argmin(distances))]}
        if prototype is not None and prototype.members:
            found["nearest member"] = self._member(prototype, latent)
        files = self._pictures.dataset.files("train")
        return {what: (files[row], self._load([row])[row][0]) for what, row in found.items()}

    def _forget_others(self, label: int) -> None:
        if label != self._label:
            self._label, self._small = label, {}

    def _candidates(self, label: int, latent: Any) -> Sequence[int]:
        rows = self._pictures.rows_of_class[label]
        if len(rows) <= SEARCHED:
            self._load(rows)
            return rows
        self.thinned = True
        if latent is None or "mean" not in self._run.arrays:
            chosen = [rows[index] for index in evenly(len(rows), SEARCHED)]
        else:
            chosen = [rows[int(index)] for index in self._order(rows, latent)[:CANDIDATES]]
        self._load(chosen)
        return chosen

    def _order(self, rows: Sequence[int], latent: Any) -> Any:
        """Positions in ``rows`` by the distance of their latents from a prototype's."""
        import numpy

        stored = numpy.asarray(self._run.arrays["mean"][list(rows)], dtype=numpy.float32)
        return ((stored - latent) ** 2).reshape(len(rows), -1).sum(axis=1).argsort(kind="stable")

    def _member(self, prototype: Prototype, latent: Any) -> int:
        """The strongest hub where hubs are known, else the member with the nearest latent."""
        if "hub_scores" in prototype.details or "mean" not in self._run.arrays:
            return (prototype.latent_members or prototype.members)[0]
        return prototype.members[int(self._order(prototype.members, latent)[0])]

    def _load(self, rows: Sequence[int]) -> dict[int, tuple[numpy.ndarray, numpy.ndarray]]:
        absent = [row for row in rows if row not in self._small]
        for row, image in zip(absent, self._pictures.real(absent) if absent else (), strict=True):
            self._small[row] = image, _shrink(image)
        return self._small


def _shrink(image: numpy.ndarray) -> numpy.ndarray:
    """The image at `COMPARED_PX`, float32."""
    import numpy
    from PIL import Image

    side = (COMPARED_PX, COMPARED_PX)
    return numpy.asarray(Image.fromarray(image).resize(side, Image.Resampling.BOX), dtype=numpy.float32)
