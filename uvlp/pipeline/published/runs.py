"""Runs that measure cells of published tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from uvlp.artifacts.task import Task
from uvlp.core.wording import byte_size, duration
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.estimates.report import Estimate
from uvlp.pipeline.names import check, default_recipe
from uvlp.pipeline.prepare import Plan, outline
from uvlp.recipes.schema import Recipe
from uvlp.tables.paper_texts import Missing
from uvlp.tables.published import Published

CARD = "h200"
PROCESSES = 2
SEEDS = (0, 1, 2)
OF_A_FOLDER = ("imageidc", "imagenet100", "imagenet1k")
"""Datasets read from a local ILSVRC folder."""


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """One `uvlp reproduce`: a dataset, its IPC, and options that differ from its recipe."""

    dataset: str
    ipc: int
    methods: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def options(self) -> str:
        """Options of the command line, without the seeds."""
        methods = f" --method {','.join(self.methods)}" if self.methods else ""
        networks = f" --network {','.join(self.networks)}" if self.networks else ""
        return f"reproduce {self.dataset.replace('_', '-')} {self.ipc}{methods}{networks}"

    @property
    def seeds(self) -> str:
        """`--seed`, if the recipe does not have three seeds."""
        own = default_recipe(self.dataset, self.ipc).seeds
        return "" if own == SEEDS else f" --seed {','.join(map(str, SEEDS))}"

    def recipe(self) -> Recipe:
        """Return the recipe of the run."""
        recipe = default_recipe(self.dataset, self.ipc)
        return replace(
            recipe,
            seeds=SEEDS,
            methods=self.methods or recipe.methods,
            networks=self.networks or recipe.networks,
        )

    def plan(self) -> Plan:
        """Return the plan of the run on a new machine."""
        return outline(check(self.recipe()))


def runs(cells: Sequence[Published]) -> dict[PublishedRun, list[Published]]:
    """Return one run per dataset and IPC with all its methods and networks, and the cells it measures.

    Datasets of a folder that the user has come first: one that is not named is missed at once, not after
    hours.
    """
    grouped: dict[tuple[str, int], list[Published]] = {}
    for cell in sorted(cells, key=lambda cell: cell.dataset not in OF_A_FOLDER):
        grouped.setdefault((cell.dataset, cell.ipc), []).append(cell)
    return {
        PublishedRun(
            dataset,
            ipc,
            tuple(dict.fromkeys(cell.method for cell in group)),
            tuple(dict.fromkeys(cell.network for cell in group)),
        ): group
        for (dataset, ipc), group in grouped.items()
    }


def estimates(wanted: Iterable[PublishedRun]) -> list[Estimate]:
    """Estimate every run on a new machine, where later runs reuse artifacts of earlier ones."""
    made: set[str] = set()
    transfers: set[str] = set()
    results = []
    for run in wanted:
        plan = run.plan()
        estimate = report.estimate(plan, cards.named(CARD), made=_is_in(made), workers=PROCESSES)
        fetched = tuple(item for item in estimate.fetched if item.what not in transfers)
        results.append(replace(estimate, fetched=fetched))
        transfers |= {item.what for item in fetched}
        made |= {task.key for task in plan.tasks}
    return results


def _is_in(keys: set[str]) -> Callable[[Task], bool]:
    return lambda task: task.key in keys


def commands(cells: Sequence[Published]) -> list[Missing]:
    """Return the commands that measure ``cells``, with their costs."""
    wanted = runs(cells)
    return [
        Missing(cells=group, command=f"uvlp {run.options}{run.seeds}", cost=_cost(estimate))
        for (run, group), estimate in zip(wanted.items(), estimates(wanted), strict=True)
    ]


def _cost(estimate: Estimate) -> str:
    memory = byte_size(round(estimate.gpu_bytes))
    return (
        f"{duration(estimate.seconds)} and {memory} of GPU memory on one {estimate.machine.name} "
        f"({estimate.basis})"
    )
