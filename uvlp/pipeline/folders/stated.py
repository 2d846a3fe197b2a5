"""What a user states about tensors applies to every file of them in a command."""

from __future__ import annotations

from collections.abc import Sequence

from uvlp.core import streams
from uvlp.core.errors import UvlpError
from uvlp.pipeline.planning.contenders import Folder
from uvlp.recipes.requests.reading import Reading


def check(reading: Reading, folders: Sequence[Folder]) -> None:
    """Refuse statements about tensors where there are none, and note that they apply to several files.

    Raises:
        UvlpError: no row is a file of tensors.
    """
    if not reading.options:
        return
    options = ", ".join(reading.options)
    files = dict.fromkeys(
        folder.origins[seed]
        for folder in folders
        for seed, facts in folder.facts.items()
        if "tensor" in facts
    )
    if not files:
        given = dict.fromkeys(path for folder in folders for path in folder.paths.values())
        what = f"{options}: there is no file of tensors to read"
        raise UvlpError(what, got=", ".join(given), allowed="a .pt, .npz or .safetensors file", fix="omit it")
    if len(files) > 1:
        fix = "score files that need others by themselves"
        streams.print_error(f"note   {options}: used for all {len(files)} files of tensors; {fix}")
