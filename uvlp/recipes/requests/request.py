"""`Request`: what a user asks for, with the same defaults and checks from every way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import unknown_name
from uvlp.recipes.requests import values
from uvlp.recipes.requests.reading import statistics_text

LARGEST_SEED = 2**32 - 1
"""Limit of scikit-learn's and numpy's older generators."""
MOST_WORKERS = 1024
TRACKERS, UNTRACKED = "pipeline/runs/trackers", "none"
"""Group of plug-ins to which curves can be reported, and the name for none of them."""
OPTIONS = {
    "dataset": "DATASET or --dataset",
    "ipc": "IPC or --ipc",
    "profile": "--profile",
    "methods": "--method",
    "networks": "--network",
    "seeds": "--seed",
    "repeats": "--repeats",
    "protocol": "--protocol",
    "data": "--data",
    "variant": "--variant",
    "pretrained": "--profile",
    "models.finetuned": "--finetuned-model",
    "portable": "--portable",
}
"""Options and arguments of the command line, by the field of a recipe that they determine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What determines a run; None: as in the recipe of the dataset, or chosen for this machine.

    Every field accepts what its option accepts on the command line (`values.py`), and holds its normal form.

    Attributes:
        dataset: name, ``folder:PATH``, or ``hf:OWNER/NAME``.
        ipc: images per class.
        methods: methods with variants, and names of groups.
        seeds: distillation seeds.
        networks: test networks.
        repeats: trainings of each network per seed.
        settings: ``(path, value)``, as of `--set`; the last of a path counts.
        images: folders to score, as on the command line of `uvlp evaluate`.
        select: which images of these folders are used: ``first`` or ``drawn``.
        random_images: whether random images are scored beside them.
        layout, normalised, label_kind, temperature: how files of tensors are read (`reading.py`).
        ablated: the method of which parts are removed; ``pairs``: also two at once.
        store, workers, per_gpu, gpus_per_finetune, offline, force, report_to: how it is carried out; results
            do not depend on them, but a fine-tuning on several cards rounds differently. The last is the name
            of a tracker.
    """

    dataset: str
    ipc: int | None = None
    methods: Sequence[str] | str | None = None
    seeds: Sequence[int | str] | int | str | None = None
    networks: Sequence[str] | str | None = None
    repeats: int | None = None
    profile: str | None = None
    protocol: str | None = None
    data: str | None = None
    variant: str | None = None
    finetuned_model: str | None = None
    alpha: float | None = None
    missing_captions: str | None = None
    settings: Sequence[str | tuple[str, Any]] | Mapping[str, Any] = ()
    portable: bool = False
    images: Sequence[str] = ()
    select: str = "first"
    random_images: bool = True
    layout: str | None = None
    normalised: str | None = None
    label_kind: str | None = None
    temperature: float | None = None
    ablated: str | None = None
    pairs: bool = False
    store: str | None = None
    workers: int | None = None
    per_gpu: int | None = None
    gpus_per_finetune: int | None = None
    offline: bool = False
    force: bool = False
    report_to: str | None = None

    def __post_init__(self) -> None:
        """Bring every field into its normal form.

        Raises:
            UvlpError: a value of the wrong type, empty, or out of range.
        """
        for each in fields(self):
            given = getattr(self, each.name)
            if given is not None:
                object.__setattr__(self, each.name, NORMAL[each.name](given))

    @property
    def changes(self) -> tuple[tuple[str, Any], ...]:
        """The settings in their normal form."""
        assert isinstance(self.settings, tuple)
        return self.settings


def _names(what: str, value: object) -> tuple[str, ...]:
    return tuple(values.text(what, name) for name in values.listed(what, value))


def _seeds(value: object) -> tuple[int, ...]:
    found = (values.integer("seed", each, 0, LARGEST_SEED) for each in values.listed("seeds", value))
    return tuple(dict.fromkeys(found))


def _images(value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) or not isinstance(value, Sequence) else value
    return tuple(values.text("path of an image folder", each) for each in given)


def _tracker(value: object) -> str:
    name = values.text("--report-to", value)
    known = (*plugins.names(TRACKERS), UNTRACKED)
    if name not in known:
        raise unknown_name("tracker", name, known)
    return name


NORMAL: Mapping[str, Callable[[Any], Any]] = {
    "dataset": partial(values.text, "dataset"),
    "ipc": partial(values.integer, "IPC", least=1),
    "methods": partial(_names, "methods"),
    "seeds": _seeds,
    "networks": partial(_names, "networks"),
    "repeats": partial(values.integer, "repeats", least=1),
    "alpha": partial(values.decimal, "--alpha"),
    "temperature": partial(values.decimal, "--temperature"),
    "normalised": statistics_text,
    "settings": values.settings,
    "images": _images,
    **{
        name: partial(values.integer, f"--{name.replace('_', '-')}", least=1, most=MOST_WORKERS)
        for name in ("workers", "per_gpu", "gpus_per_finetune")
    },
    **{
        name: partial(values.text, f"--{name.replace('_', '-')}")
        for name in (
            *("profile", "protocol", "data", "variant", "finetuned_model", "missing_captions"),
            *("select", "ablated", "store", "layout", "label_kind"),
        )
    },
    **{
        name: partial(values.flag, f"--{name.replace('_', '-')}")
        for name in ("portable", "pairs", "offline", "force")
    },
    "random_images": partial(values.flag, "--random"),
    "report_to": _tracker,
}
"""The normal form of each field."""
IMPLIED = {"missing_captions": {"caption.missing"}, "alpha": {"uvlp.search", "uvlp.alpha"}}
"""Settings that an option determines."""


def override(base: Request, given: Mapping[str, Any]) -> Request:
    """Return a request with some fields replaced; its settings are kept unless a given option sets them.

    Raises:
        UvlpError: as for a new request.
    """
    implied = {path for name in given for path in IMPLIED.get(name, ())}
    kept = [each for each in base.changes if each[0].removeprefix("method.") not in implied]
    added = values.settings(given.get("settings", ()))
    return replace(base, **{**given, "settings": (*kept, *added)})
