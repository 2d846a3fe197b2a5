"""`uvlp evaluate`: score image folders of any origin."""

from __future__ import annotations

from dataclasses import dataclass, replace

from uvlp.artifacts.store import Store
from uvlp.cli import reproduce
from uvlp.cli.request import Request, number, resolve
from uvlp.pipeline.folder_rows import parse_rows
from uvlp.pipeline.folders import Collect, seeds_of
from uvlp.pipeline.prepare import prepare


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """What the command line says of them; ``ipc`` is None where they decide."""

    paths: list[str]
    ipc: str | None
    select: str
    random: bool


def score(folders: Folders, request: Request, store: Store, how: reproduce.How) -> None:
    """Score the folders, with random images of the same size beside them unless that is switched off.

    Raises:
        UvlpError: an unknown name, a wrong number, or a folder whose files are wrong.
    """
    ipc = None if folders.ipc is None else number("IPC", folders.ipc, 1)
    rows = tuple(parse_rows(folders.paths))
    recipe = resolve(replace(request, ipc=str(ipc or 1)))
    seeds = seeds_of(rows, recipe.seeds if request.seeds else None)
    recipe = replace(recipe, seeds=seeds or recipe.seeds)
    if not folders.random:
        recipe = replace(recipe, methods=())
    collect = Collect(rows=rows, ipc=ipc, select=folders.select)
    reproduce.carry_out(recipe, lambda: prepare(recipe, store, collect), store, "tabulate", how)
