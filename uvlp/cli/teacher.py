"""`uvlp teacher`: the network whose soft labels the RDED protocol learns."""

from __future__ import annotations

from dataclasses import replace

from uvlp.artifacts.store import Store
from uvlp.cli import reproduce
from uvlp.cli.request import Request, resolve
from uvlp.pipeline.prepare import prepare_teacher


def provide(request: Request, network: str, checkpoint: str | None, store: Store, how: reproduce.How) -> None:
    """Train or import a teacher, the same that `uvlp reproduce --protocol rded` would make.

    Raises:
        UvlpError: an unknown name, a wrong number, a wrong dataset or checkpoint.
    """
    recipe = resolve(request)
    source = recipe.teacher.source if checkpoint is None else checkpoint
    # The recipe's own networks may be those of another protocol.
    teacher = replace(recipe.teacher, network=network, source=source)
    recipe = replace(recipe, networks=(network,), teacher=teacher)
    reproduce.carry_out(
        recipe,
        lambda: prepare_teacher(recipe, store, network),
        store,
        "teacher",
        how,
        lambda planner: planner.teacher(network),
    )
