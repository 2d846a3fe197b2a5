"""`folder:PATH`: your own images.

The images are in `PATH/train/<class>/` and `PATH/val/<class>/`. Optional: captions in `metadata.jsonl` or
`metadata.csv` (`file_name` relative to the folder of that file, `text`) in `PATH`, in `PATH/train` or in
class folders, or beside the images (`1.txt` for `1.png`); and `PATH/classes.tsv` with lines
`folder name<TAB>readable name`.
"""

from __future__ import annotations

from pathlib import Path

from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.core.progress import Progress
from uvlp.datasets.files.folder_scan import LAYOUT
from uvlp.datasets.files.image_folder import open_image_folder
from uvlp.recipes.from_scratch import recipe as recipe

REVISION = 1
ARGUMENT = "PATH"


def open_dataset(spec: DatasetSpec, cache: Path, progress: Progress | None = None) -> Dataset:
    """Open the images below the path after the colon; their hashes and sizes are kept in ``cache``.

    Raises:
        UvlpError: no path, a wrong layout, a damaged image, or invalid captions.
    """
    argument = spec.argument
    if not argument:
        raise UvlpError("the dataset `folder` requires a path", allowed=LAYOUT, fix="use folder:PATH")
    return open_image_folder(expand_home(argument), argument, cache, progress or Progress())
