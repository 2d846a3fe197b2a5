"""The explanation of one method: its steps, settings, sources, deviations, inputs and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.lines import read_lines
from uvlp.core.files.paths import expand_home
from uvlp.core.plugins import PACKAGE
from uvlp.datasets.files.folder_scan import LAYOUT, check_folder
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.reading import docstring
from uvlp.pipeline import names
from uvlp.pipeline.estimates import cards, report
from uvlp.pipeline.estimates.report import Estimate
from uvlp.pipeline.explanation.made import Devices, devices
from uvlp.pipeline.explanation.reads import reads
from uvlp.pipeline.explanation.settings import Setting, described
from uvlp.pipeline.explanation.steps import Step, Version, references, steps
from uvlp.pipeline.planning.contenders import Method
from uvlp.pipeline.planning.variants import text_of
from uvlp.pipeline.prepare import Plan, outline
from uvlp.pipeline.published.runs import CARD, PROCESSES
from uvlp.recipes.deviations import Deviation, deviations
from uvlp.recipes.schema import Recipe
from uvlp.tables import published

SPEC = PACKAGE.parent / "paper_tables" / "spec"
OF_THE_PAPERS = "imagenette"
"""The dataset of the papers' recipe, where the run's own dataset has none."""
OF_THE_RUN = ("networks", "protocol", "seeds", "repeats", "image_px")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All about one method as it would run on a machine that has nothing yet.

    Attributes:
        method: as given, with its variant.
        title: in tables.
        text: first line of its docstring.
        variant: what its variants remove or replace; empty without any.
        notes: whether it equals another method in this run.
        follows: the sections of the specification that the text names.
        published_in: where accuracies of it were published.
        recipe: fully resolved.
        run: settings of the run itself.
        steps: in the order in which they start.
        deviations: those that concern the run.
        reads: its inputs by kind.
        costs: estimates for this machine and for `runs.CARD`; empty if the size of the dataset is unknown.
        devices: number of artifacts of it that the store has, by stage and type of device.
    """

    method: str
    title: str
    text: str
    variant: str
    notes: tuple[str, ...]
    follows: tuple[str, ...]
    published_in: tuple[str, ...]
    recipe: Recipe
    run: tuple[Setting, ...]
    steps: tuple[Step, ...]
    deviations: tuple[Deviation, ...]
    reads: dict[str, str]
    costs: tuple[Estimate, ...]
    devices: Devices

    def json(self) -> dict[str, Any]:
        """Return everything as JSON values; of the recipe only dataset, IPC and profile."""
        shown = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("recipe", "costs")
        }
        for name in ("run", "steps", "deviations"):
            shown[name] = [asdict(each) for each in shown[name]]
        own = {name: getattr(self.recipe, name) for name in ("dataset", "ipc", "profile")}
        return {**own, **shown, "costs": [estimate.json() for estimate in self.costs]}


def explain(recipes: Sequence[tuple[str, Recipe]], store: Path) -> Explanation:
    """Explain a run of one method; no dataset or model is opened, and nothing is downloaded.

    Args:
        recipes: the recipe by what changed it, with more and more of the changes made.
        store: folder of the store, which need not exist.

    Raises:
        UvlpError: an unknown name, a number out of range, an IPC above the size of the classes, or a folder
            that does not exist.
    """
    _check_folder(recipes[-1][1].dataset)
    versions = [_version(label, recipe) for label, recipe in recipes]
    plan, method = versions[-1].plan, versions[-1].method
    _check_ipc(plan)
    names.check_networks(plan.recipe)
    papers = _papers(plan.recipe, method)
    text = docstring(method.declared.origin) or method.title
    found = tuple(steps(versions, papers))
    cells = (cell for cell in published.cells() if cell.method == method.name)
    return Explanation(
        method=method.spec,
        title=method.title,
        text=text,
        variant=text_of(method.declared, method.parts),
        notes=versions[-1].notes,
        follows=tuple(_sections(text)),
        published_in=tuple(dict.fromkeys(published.title(cell.source) for cell in cells)),
        recipe=plan.recipe,
        run=tuple(_of_the_run(versions, papers)),
        steps=found,
        deviations=tuple(_deviations(plan, method, found)),
        reads=reads(plan, recipes[-1][1]),
        costs=_costs(plan),
        devices=devices(store, plan.recipe, method.spec),
    )


def _version(label: str, recipe: Recipe) -> Version:
    checked = names.check(recipe)
    (method,) = checked.methods
    return Version(label=label, plan=outline(checked), method=method, notes=checked.notes)


def _check_folder(dataset: str) -> None:
    """Refuse `folder:PATH` where there is no folder."""
    _, _, path = dataset.partition(":")
    if path:
        check_folder(expand_home(path).absolute(), "dataset folder", LAYOUT)


def _check_ipc(plan: Plan) -> None:
    """Refuse an IPC above the mean class, which is above the smallest one too."""
    size, ipc = plan.size, plan.recipe.ipc
    if size is not None and ipc > (most := size.train // size.classes):
        what = f"IPC is above the classes of {plan.recipe.dataset} ({most:,} training images on average)"
        raise UvlpError(what, got=ipc, allowed=f"1 to {most}")


def _papers(recipe: Recipe, method: Method) -> Version | None:
    """Return the run of the papers' recipe without a variant; None for a method of another package."""
    if method.declared.origin.package:
        return None
    dataset = declared_dataset(recipe.dataset.partition(":")[0])
    own = dataset.recipe(recipe.ipc)
    if dataset.origin.package or not own.pretrained:
        own = names.default_recipe(OF_THE_PAPERS, recipe.ipc)
    return _version("", replace(own, methods=(method.name,)))


def _sections(text: str) -> list[str]:
    """Return the headings of the specification that a text refers to."""
    found = []
    for file, number in references(text):
        lines = read_lines(SPEC / f"{file}.md")
        headings = [line.lstrip("# ") for line in lines if line.startswith(f"## {number}. ")]
        found += [f"{file}.md {heading}" for heading in headings]
    return found


def _of_the_run(versions: Sequence[Version], papers: Version | None) -> list[Setting]:
    """Return the settings of the run itself, and the dtype of published models if it uses any."""
    recipes = [(version.label, version.plan.recipe) for version in versions]
    reference = papers.plan.recipe if papers else None
    found = list(described("", recipes, reference, only=OF_THE_RUN))
    if any(task.published for task in versions[-1].plan.tasks):
        models = [(label, recipe.models) for label, recipe in recipes]
        dtype = ("precision",)
        found += described("models", models, reference.models if reference else None, only=dtype)
    return found


def _deviations(plan: Plan, method: Method, of_steps: Sequence[Step]) -> list[Deviation]:
    used: dict[str, set[str]] = {}
    for step in of_steps:
        for setting in step.settings:
            used.setdefault(setting.path.rpartition(".")[2], set()).add(str(setting.value))
    used |= {
        "dataset": {plan.recipe.dataset.partition(":")[0].replace("_", "-")},
        "captioner": {task.plugin for task in plan.tasks if task.stage == "caption"},
        "stage": {task.stage for task in plan.tasks},
        "protocol": {plan.recipe.protocol},
        "profile": {plan.recipe.profile},
        "teacher": {_teacher(task.settings.source) for task in plan.tasks if task.stage == "teacher"},
    }
    return [each for each in deviations() if each.concerns(method.name, used)]


def _teacher(source: str) -> str:
    return source if source in ("trained", "torchvision") else "file"


def _costs(plan: Plan) -> tuple[Estimate, ...]:
    if plan.size is None:
        return ()
    here = report.estimate(plan, cards.this_machine())
    return here, report.estimate(plan, cards.named(CARD), workers=PROCESSES)
