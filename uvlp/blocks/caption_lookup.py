"""Which caption of a metadata file belongs to an image (methods.md A.2, B.5)."""

from __future__ import annotations

from collections.abc import Mapping


def find_caption(
    captions: Mapping[str, str], class_id: str, file_name: str, *, bare_names: bool = False
) -> str:
    """The caption, or the empty string when there is none.

    Tried in this order, empty captions passed over: ``class/file``; the same with ``_<class>.JPEG``
    shortened to ``.JPEG``; and, for VLCP's files, the bare file name (E31).

    Args:
        captions: text by ``file_name`` of the metadata.
        class_id: class folder of the image.
        file_name: base name of the image.
        bare_names: also try the bare file name.
    """
    key = f"{class_id}/{file_name}"
    keys = [key, key.replace(f"_{class_id}.JPEG", ".JPEG")] + [file_name] * bare_names
    return next((captions[key] for key in keys if captions.get(key)), "")
