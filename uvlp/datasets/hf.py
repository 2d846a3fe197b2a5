"""`hf:OWNER/NAME`: labelled images of the hub, read by the library `datasets` when they are fetched.

`hf:OWNER/NAME@REVISION,KEY=VALUE,...` chooses a revision, a configuration, columns and splits. The image
files that the rows hold are kept as they are, by class, in the data folder; later runs need neither the
network nor the library. The order of the classes is that of the dataset.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.downloads import Download
from uvlp.core.progress import Progress
from uvlp.datasets.files.class_lists import ClassName
from uvlp.datasets.files.folder_scan import scan_classes
from uvlp.datasets.files.image_folder import Described, open_decoded
from uvlp.datasets.hub import fetching
from uvlp.datasets.hub.address import Address, parse
from uvlp.datasets.hub.extract import RECORD, Record
from uvlp.recipes.from_scratch import recipe as recipe

REVISION = 1
ARGUMENT = "OWNER/NAME"
VARIANTS: tuple[str, ...] = ()


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the images that were fetched.

    Raises:
        UvlpError: a wrong address, they were never fetched, or files that have changed or are damaged.
    """
    address = parse(spec.argument)
    root = fetching.folder_of(address, spec.root)
    if root is None:
        fix = f"run `uvlp fetch {spec}` with a network, or pass the folder that has them with --data"
        raise UvlpError(f"the dataset {spec} was not fetched", got=str(spec.root), fix=fix)
    record = _record(root)
    listing = scan_classes(root, record.ids, str(spec), strict=True)
    classes = [ClassName(id_, name, name) for id_, name in zip(record.ids, record.names, strict=True)]
    commit = fetching.commit_of(address, spec.root)
    licence = f"; licence as its card states it: {record.licence}" if record.licence else ""
    described = Described(
        name="hf",
        argument=record.address,
        source=f"https://huggingface.co/datasets/{address.repository} at {commit}{licence}",
        notes=(f"commit {commit}", *record.notes),
    )
    return open_decoded(root, listing, classes, described, cache, progress or Progress())


def download(spec: DatasetSpec) -> Download | None:
    """The download that :func:`fetch` would still make; None if there is none."""
    address = parse(spec.argument)
    if fetching.folder_of(address, spec.root) is not None:
        return None
    return Download(what=f"dataset {spec}", urls=(_page(address),), bytes=0, disk_bytes=0)


def fetch(spec: DatasetSpec, progress: Progress) -> None:
    """Fetch the files of the repository, and keep their images in the data folder.

    Raises:
        UvlpError: see `hub/fetching.fetch`.
    """
    fetching.fetch(parse(spec.argument), spec.root, progress)


def _record(root: Path) -> Record:
    try:
        return json_files.build(Record, json_files.parse((root / RECORD).read_bytes()))
    except (OSError, ValueError) as error:
        what, fix = f"{root / RECORD} is damaged", f"delete {root} and fetch again"
        raise UvlpError(what, got=str(error), fix=fix) from error


def _page(address: Address) -> str:
    from uvlp.models.published import hub

    return hub.page(f"{hub.DATASETS}{address.repository}")
