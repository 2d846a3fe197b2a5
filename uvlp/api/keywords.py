"""Keywords of the functions, named as the options of the command line, and the request that they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.progress import Event
from uvlp.pipeline.requests import config as configs
from uvlp.pipeline.requests.resolve import store_at
from uvlp.recipes.requests.request import Request

if TYPE_CHECKING:
    from uvlp.api.store import Store

ProgressOption = bool | Callable[[Event], None] | None
"""True: as on the command line; a function: receives every `Event`; else nothing is shown."""
FIELDS = {
    "method": "methods",
    "seed": "seeds",
    "network": "networks",
    "set": "settings",
    "random": "random_images",
}
"""Fields of a request whose keyword is another."""


class HowToRun(TypedDict, total=False):
    """How a request is carried out; results do not depend on it."""

    store: str | PathLike[str] | Store | None
    workers: int | None
    per_gpu: int | None
    gpus_per_finetune: int | None
    offline: bool
    force: bool
    report_to: str | None


class Training(HowToRun, total=False):
    """What determines the trainings of test networks, and of the dataset."""

    seed: int | str | Sequence[int] | None
    network: str | Sequence[str] | None
    repeats: int | None
    profile: str | None
    protocol: str | None
    data: str | PathLike[str] | None
    variant: str | None
    set: Mapping[str, Any] | Sequence[str] | None
    portable: bool
    config: str | PathLike[str] | None


class Distilling(Training, total=False):
    """What else determines images of methods."""

    finetuned_model: str | PathLike[str] | None
    alpha: float | None
    missing_captions: str | None


KEYWORDS = Distilling.__annotations__


def request_of(
    own: Mapping[str, Any], given: Mapping[str, Any], until: str, artifact: str | None = None
) -> Request:
    """Return the request of a call.

    Args:
        own: fields of the request by the function's own parameters.
        given: the other keywords.
        until: the last stage of the run.
        artifact: a stored artifact whose recipe is taken; see `configs.recorded`.

    Raises:
        UvlpError: an unknown keyword or a value that cannot be used; the dataset or the IPC is missing.
    """
    for name in given:
        if name not in KEYWORDS:
            raise unknown_name("keyword", name, KEYWORDS)
    fields = {FIELDS.get(name, name): value for name, value in {**given, **own}.items() if value is not None}
    file, store = fields.pop("config", None), fields.get("store")
    if isinstance(store, PathLike):  # a path has another `root` than a store
        fields["store"] = fspath(store)
    elif (root := getattr(store, "root", None)) is not None:
        fields["store"] = str(root)
    if file is not None and artifact is not None:
        raise UvlpError("config with artifact", got=str(file), fix="give one of them")
    if file is not None:
        return configs.requested(str(file), configs.read(Path(file).expanduser()), fields, until)
    if artifact is not None:
        where, found = configs.recorded(store_at(fields.get("store")), artifact)
        return configs.requested(where, found, fields, until)
    if "dataset" not in fields:
        raise UvlpError("the dataset is missing", allowed='a name such as "digits", or "folder:PATH"')
    return Request(**fields)
