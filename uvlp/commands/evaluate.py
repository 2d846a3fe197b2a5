"""`uvlp evaluate`: score image folders of any origin."""

from __future__ import annotations

from dataclasses import dataclass, replace

from uvlp import pipeline
from uvlp.artifacts.store import Store
from uvlp.commands import chain
from uvlp.folders import Collect


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The words of the command line."""

    paths: list[str]
    dataset: str
    ipc: str | None
    select: str
    random: bool
    seeds: list[str] | None
    networks: list[str] | None
    repeats: str | None
    profile: str
    protocol: str | None
    settings: list[str] | None


def score(request: Request, store: Store, how: chain.How) -> None:
    """Score the folders, with random images of the same size beside them unless that is switched off.

    Raises:
        UvlpError: an unknown name, a wrong number, or a folder whose files are wrong.
    """
    ipc = None if request.ipc is None else chain.number("IPC", request.ipc, 1)
    recipe = chain.resolve(
        chain.Request(
            dataset=request.dataset,
            ipc=str(ipc or 1),  # where none is given, the folders decide
            methods=["random"],
            seeds=request.seeds,
            networks=request.networks,
            repeats=request.repeats,
            profile=request.profile,
            protocol=request.protocol,
            missing_captions=None,
            settings=request.settings,
        )
    )
    if not request.random:
        recipe = replace(recipe, methods=())
    collect = Collect(paths=tuple(request.paths), ipc=ipc, select=request.select)
    chain.carry_out(recipe, lambda: pipeline.prepare(recipe, store, collect), store, "tabulate", how)
