"""`evaluate`, `reproduce`, `distil` and `table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

from uvlp.api.image_set import ImageSet
from uvlp.api.inputs import folders
from uvlp.api.keywords import Distilling, ProgressOption, Training, request_of
from uvlp.api.results import PublishedTable, Result
from uvlp.api.running import Ran, run
from uvlp.artifacts import distilled, tables
from uvlp.core.errors import UvlpError
from uvlp.recipes.requests.request import Request


def evaluate(
    images: Any,
    labels: Any = None,
    *,
    dataset: str | None = None,
    name: str = "images",
    ipc: int | None = None,
    select: str | None = None,
    random: bool | None = None,
    layout: str | None = None,
    normalised: str | tuple[Any, Any] | None = None,
    label_kind: str | None = None,
    temperature: float | None = None,
    progress: ProgressOption = None,
    **options: Unpack[Training],
) -> Result:
    """Score images on the test images of a dataset, like `uvlp evaluate`.

    Args:
        images: a folder ``PATH/<class>/<images>``, several, or anything that the command line accepts;
            an array or tensor [N, H, W], [N, H, W, C] or [N, C, H, W] with ``labels``; a dataset of torch or
            of the library `datasets` with images and labels; what `distil` returned. Pixels are uint8, or
            floats, which are neither clamped nor rounded.
        labels: of an array: class indices [N], or probabilities or logits [N, classes].
        dataset: with the real test images: ``"digits"``, ``"folder:PATH"``, ``"hf:OWNER/NAME"``, ...
        name: title of the row of an array or dataset.
        ipc: images per class; None: all.
        select: which images are used if there are more: ``"first"`` or ``"drawn"``.
        random: whether as many random images are scored too; None: yes.
        layout: order of the axes where it is ambiguous: ``"nchw"``, ``"nhwc"``.
        normalised: of float images beyond [0, 1]: ``(mean, std)`` of their normalisation, which is undone,
            numbers or one for each of three channels; ``"none"``: 0 is black and 1 is white.
        label_kind: ``"integers"``, ``"probabilities"`` or ``"logits"``; logits are not recognised.
        temperature: at which logits are learnt.
        progress: see `ProgressOption`.
        options: as the options of the command line.

    Raises:
        UvlpError: the request or the images are wrong, or a training cannot be made.
        WorkerFailed: a training failed unexpectedly.
    """
    own: dict[str, Any] = {"dataset": dataset, "ipc": ipc, "select": select, "random": random}
    own |= {"layout": layout, "normalised": normalised}
    own |= {"label_kind": label_kind, "temperature": temperature}

    def asked() -> Request:
        request = request_of(own, dict(options), "tabulate")
        return replace(request, images=folders(images, labels, name, request))

    return _result(run(asked, "tabulate", progress))


def reproduce(
    dataset: str | None = None,
    ipc: int | None = None,
    *,
    method: str | Sequence[str] | None = None,
    artifact: str | None = None,
    progress: ProgressOption = None,
    **options: Unpack[Distilling],
) -> Result:
    """Run the complete chain, like `uvlp reproduce`; finished artifacts are not made again.

    Args:
        dataset: ``"digits"``, ``"folder:PATH"``, ``"hf:OWNER/NAME"``, ...
        ipc: images per class.
        method: methods with variants; None: those of the dataset's recipe.
        artifact: take the recipe of a stored artifact (``kind/key``, or the name of a table), as `--from`.
        progress: see `ProgressOption`.
        options: as the options of the command line; ``config``: a config file.

    Raises:
        UvlpError: the request is wrong, or an artifact cannot be made.
        WorkerFailed: a stage failed unexpectedly.
    """
    own = {"dataset": dataset, "ipc": ipc, "method": method}

    def asked() -> Request:
        request = request_of(own, dict(options), "tabulate", artifact)
        if request.ipc is None and not request.images:
            raise UvlpError("the number of images per class is missing", fix="give ipc")
        return request

    return _result(run(asked, "tabulate", progress))


def distil(
    dataset: str,
    ipc: int,
    *,
    method: str,
    progress: ProgressOption = None,
    **options: Unpack[Distilling],
) -> ImageSet:
    """Return the images of one method and seed, like `uvlp synthesise`.

    Args:
        dataset: ``"digits"``, ``"folder:PATH"``, ``"hf:OWNER/NAME"``, ...
        ipc: images per class.
        method: one method, with a variant or without.
        progress: see `ProgressOption`.
        options: as the options of the command line.

    Raises:
        UvlpError: the request is wrong, or an artifact cannot be made.
        WorkerFailed: a stage failed unexpectedly.
    """
    own = {"dataset": dataset, "ipc": ipc, "method": method}
    ran = run(partial(request_of, own, dict(options), "synthesise"), "synthesise", progress)
    made = [task for task in ran.plan.tasks if task.kind == distilled.KIND]
    if len(made) != 1:
        fix = "give one method and one seed; reproduce compares several"
        raise UvlpError("distil makes one set of images", got=f"{len(made)} sets", fix=fix)
    if made[0].whole_set:
        raise UvlpError("this method keeps the full training set", got=method, fix="name one that distils")
    return ImageSet(folder=ran.store.folder(made[0]), title=made[0].title, notes=ran.notes)


def table(name: str, *, store: Any = None) -> Result | PublishedTable:
    """Return a published table with what was measured beside it, or a table of the store by name or key.

    Args:
        name: ``"nette-idc"``, or ``"digits-ipc10"``; see `uvlp list tables`.
        store: a `Store` or its folder; None: ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: there is no such table, or it is damaged.
    """
    from uvlp.api.store import Store

    return (store if isinstance(store, Store) else Store(store)).table(name)


def _result(ran: Ran) -> Result:
    goal = ran.plan.goal
    artifacts = {task.title: task.name for task in ran.plan.tasks if ran.store.has(task)}
    found = tables.read(ran.store.folder(goal))
    return Result(table=found, artifact=goal.name, store=ran.store, notes=ran.notes, artifacts=artifacts)
