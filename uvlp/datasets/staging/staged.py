"""A dataset read from its archives, which a job copies to its node's own disk when it first reads an image.

The launcher of a cluster names a new folder on that disk in the environment of a job's processes (`STAGED`),
which share one copy of each split that is read. Each image is compared with its hash.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from uvlp.artifacts.dataset import STAGED, Dataset, DatasetManifest
from uvlp.core.errors import UvlpError
from uvlp.core.files.disk_space import check_space
from uvlp.core.files.leases import lease
from uvlp.core.prefetch import in_order
from uvlp.core.progress import Progress
from uvlp.core.wording import byte_size
from uvlp.datasets.files.folder_hashes import sha256_of
from uvlp.datasets.files.images import image_files
from uvlp.datasets.files.images.decoding import decode
from uvlp.datasets.staging import archives
from uvlp.datasets.staging.archives import ImageFiles, Index, Members

if TYPE_CHECKING:
    import numpy
    from PIL import Image

OFF = "--set launcher.stage=false"


def opened(
    store_cache: Path, content_hash: str, progress: Progress, open_shared: Callable[[], Dataset]
) -> Dataset:
    """Open a dataset from its archives if this job is told to, else, and if its images are no files, itself.

    Args:
        store_cache: with the archives.
        content_hash: of the dataset; empty: any, which is never read from archives.
        progress: receives a report when something is copied.
        open_shared: opens the dataset itself.

    Raises:
        UvlpError: there are no archives, or see ``open_shared``.
    """
    local = os.environ.get(STAGED)
    if local is None or not content_hash:
        return open_shared()
    folder = archives.folder_of(store_cache, content_hash)
    index = archives.read_index(folder)
    if index is not None:
        return StagedImages(index, folder, local, progress)
    dataset = open_shared()
    if isinstance(dataset, ImageFiles):
        raise archives.damaged(folder / archives.INDEX)
    return dataset


class StagedImages:
    """The dataset in a folder of archives (see `artifacts/dataset.py` for its interface).

    Args:
        index: of the archives.
        folder: their folder.
        local: folder on this node's own disk; empty: the node names none.
        progress: receives a report when something is copied.
    """

    def __init__(self, index: Index, folder: Path, local: str, progress: Progress) -> None:
        self._index, self._folder, self._local, self._progress = index, folder, local, progress
        self._members: dict[str, Members] = {}

    @property
    def manifest(self) -> DatasetManifest:
        """That of the dataset when the archives were written."""
        return self._index.manifest

    def files(self, split: str) -> tuple[str, ...]:
        """Names, e.g. ``train/cat/1.png``."""
        return self._members_of(split).names

    def labels(self, split: str) -> tuple[int, ...]:
        """Class index of every file."""
        return tuple(info.index for info in self.manifest.classes for _ in range(getattr(info, split)))

    def images(self, split: str, indices: Sequence[int], size_px: int) -> numpy.ndarray:
        """uint8 [N, size_px, size_px, 3], squashed to a square."""
        return image_files.squash_all(self._loader(split), indices, size_px)

    def originals(self, split: str, indices: Sequence[int]) -> list[numpy.ndarray]:
        """uint8 [H, W, 3] each, at their stored size."""
        import numpy

        load = self._loader(split)
        return list(in_order(lambda index: numpy.asarray(load(index)), indices))

    def captions(self) -> Mapping[str, str] | None:
        """Caption by name below `train/`; None if there are no captions."""
        return archives.read_captions(self._folder)

    def _members_of(self, split: str) -> Members:
        if split not in self._members:
            self._members[split] = archives.read_members(self._folder, split)
        return self._members[split]

    def _loader(self, split: str) -> Callable[[int], Image.Image]:
        """Return what decodes the image at an index, after the split was copied here."""
        members, path = self._members_of(split), self._copied(split)

        def load(index: int) -> Image.Image:
            with path.open("rb") as archive:
                archive.seek(members.offsets[index])
                content = archive.read(members.sizes[index])
            if hashlib.sha256(content).hexdigest() != sha256_of(members.sha256, index):
                raise archives.damaged(archives.archive_of(self._folder, split))
            return decode(io.BytesIO(content), Path(members.names[index])).image

        return load

    def _copied(self, split: str) -> Path:
        """Return the copy of an archive on this node's disk; one process of the job makes it.

        Raises:
            UvlpError: no folder for it, too little space, or a damaged archive.
        """
        if not self._local:
            raise UvlpError(
                "launcher.stage needs a folder on the node's own disk, and the node names none",
                allowed="SLURM_TMPDIR, else TMPDIR, in the environment of the job",
                fix=f"name one in launcher.setup, 'export TMPDIR=/scratch', or {OFF}",
            )
        target = Path(self._local) / f"{self._folder.name}-{split}.tar"
        if not target.exists():
            with lease.acquire(target.with_suffix(".lease"), lambda holder: None):
                if not target.exists():
                    self._copy(split, target)
        return target

    def _copy(self, split: str, target: Path) -> None:
        source, size = archives.archive_of(self._folder, split), self._index.archives[split]
        if not source.is_file() or source.stat().st_size != size:
            raise archives.damaged(source)
        fix = f"ask the cluster for more (launcher.sbatch.tmp=SIZE), name a larger disk by TMPDIR, or {OFF}"
        check_space(f"the staged images of {split}", target.parent, size, fix)
        self._progress.log(f"copying the images of {split}, {byte_size(size)}, to {target.parent}")
        unfinished = target.with_suffix(f".{lease.new_token()}")
        try:
            shutil.copyfile(source, unfinished)
            if unfinished.stat().st_size != size:
                raise archives.damaged(source)
            os.rename(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
