"""`teachers`: a network whose soft labels the students of the RDED protocol learn (evaluation.md 3.2).

`model.safetensors` contains the weights with the names of `training/rded_networks.py`, `teacher.json` their
description and their accuracy on the real validation images.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.files.foreign_files import check_regular, refuse_wrong_content
from uvlp.core.hashing import file_sha256

KIND = "teachers"
SCHEMA = 1
PROTOCOL = "rded"
"""Protocol whose networks teachers are."""
WEIGHTS, FACTS = "model.safetensors", "teacher.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """Description of a teacher.

    Attributes:
        architecture: published name, e.g. "resnet18_modified".
        size_px: side of its input.
        class_ids: class id of each output.
        source: description of the source of the weights.
        accuracy_pct: on all validation images, percent.
        per_class_pct: the same for each class; None for a class without validation images.
        validation_set: dataset and variant of these images.
        validation_images: number of validation images.
    """

    architecture: str
    size_px: int
    class_ids: tuple[str, ...]
    source: str
    accuracy_pct: float
    per_class_pct: tuple[float | None, ...]
    validation_set: str
    validation_images: int

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return len(self.class_ids)


def write(folder: Path, teacher: Teacher) -> None:
    """Write `teacher.json` into ``folder``, beside the weights."""
    assert len(teacher.per_class_pct) == teacher.classes, "one accuracy per class"
    text = json.dumps(asdict(teacher), indent=1, ensure_ascii=False)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> Teacher:
    """Read `teacher.json` of ``folder``.

    Raises:
        UvlpError: the folder does not contain a teacher, or its description is damaged.
    """
    allowed = f"a folder with {WEIGHTS} and {FACTS}, as created by `uvlp teacher`"
    missing = [name for name in (WEIGHTS, FACTS) if not (folder / name).is_file()]
    if missing:
        raise UvlpError(f"not a teacher: {' and '.join(missing)} not found", got=str(folder), allowed=allowed)
    try:
        return json_files.build(Teacher, json_files.parse((folder / FACTS).read_bytes()))
    except ValueError as error:
        raise UvlpError(f"damaged {FACTS} of a teacher", got=str(folder), allowed=allowed) from error


def checkpoint_hash(path: str) -> str:
    """Return the SHA-256 of a teacher's checkpoint.

    Raises:
        UvlpError: there is no such file.
    """
    if not os.path.exists(path):
        raise UvlpError(
            "no such teacher checkpoint",
            got=path,
            allowed="trained, torchvision, or the path of a .safetensors or .pth file",
        )
    check_regular(Path(path), "teacher checkpoint")
    refuse_wrong_content(Path(path), "teacher checkpoint", text=False)
    return file_sha256(Path(path))
