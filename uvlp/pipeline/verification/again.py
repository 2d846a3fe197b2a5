"""`--rerun N`: drawn trainings are trained again elsewhere and compared, which finds a consistent forgery."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from uvlp.artifacts import distilled, scores
from uvlp.artifacts.dataset import Dataset, DatasetManifest, DatasetSpec
from uvlp.artifacts.scores import Score
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.artifacts.work import Work
from uvlp.core import machine, plugins, portable
from uvlp.core.display import views
from uvlp.core.errors import UvlpError
from uvlp.core.files import json_files
from uvlp.core.progress import Progress
from uvlp.core.scheduling import workers
from uvlp.core.scheduling.cards import Parallel
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.datasets import open_dataset
from uvlp.pipeline.estimates import needs as estimated
from uvlp.pipeline.verification.contents import Artifact, Contents, Manifest, ScoreFacts, measured
from uvlp.pipeline.verification.datasets import Datasets, spec_of
from uvlp.pipeline.verification.report import Check, counted

PASSES = ("best_pct", "last_pct")
LEVEL = 0.05
"""Chance of one false alarm among all comparisons by interval of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What is asked for: how many trainings, which draw, on which processes and cards."""

    count: int
    seed: int
    parallel: Parallel


def check_again(contents: Contents, datasets: Datasets, asked: Rerun, data: str, cache: Path) -> Check:
    """Train drawn scores again and compare them with the stored ones."""
    check = Check(
        name="rerun",
        one="{} result of a repeated training matches the stored one",
        many="{} results of repeated trainings match the stored ones",
    )
    store = Store(contents.root)
    tasks = [task for one in contents.of_kind(scores.KIND) if (task := _task(one, contents, data, check))]
    tasks.sort(key=lambda task: task.key)
    drawn = random.Random(asked.seed).sample(tasks, min(asked.count, len(tasks)))
    drawn = [task for task in drawn if _can_open(task, datasets, store, cache, check)]
    manifests = {content_hash: known.manifest for content_hash, known in datasets.items()}
    with tempfile.TemporaryDirectory() as folder:
        for mode in (False, True):
            _train(
                [task for task in drawn if task.portable == mode],
                partial(_train_again, contents.root, Path(folder), cache, manifests),
                asked.parallel,
                enforce=mode,
            )
        found = {task.name: scores.read(Path(folder) / task.key) for task in drawn}
    _compare(check, contents, found)
    return check


def _train(tasks: Sequence[Task], make: workers.Make, parallel: Parallel, *, enforce: bool) -> None:
    if not tasks:
        return
    if enforce:
        portable.enforce()
        parallel = parallel.on_processor()
    workers.run(
        tasks,
        make,
        parallel=parallel,
        environment=machine.thread_environment(),
        view=views.view(len(tasks)),
        needs=estimated.on_machine(parallel),
    )


def _task(one: Artifact, contents: Contents, data: str, check: Check) -> Task | None:
    """The task of a stored score; None, and why, where it cannot be trained again."""
    manifest = one.manifest
    assert manifest is not None
    inputs = {}
    for role, key in manifest.inputs.items():
        earlier = contents.usable(key)
        if earlier is None or earlier.manifest is None:
            check.skipped[f"trainings whose {role} artifact is missing or damaged"] += 1
            return None
        inputs[role] = _recorded(earlier.manifest)
    try:
        protocol = declared_protocol(manifest.plugin)
        settings = json_files.build(protocol.settings, manifest.settings)
    except (UvlpError, ValueError) as error:
        check.skipped[f"trainings with a protocol that is not installed: {error}"] += 1
        return None
    if protocol.revision != manifest.revision or manifest.stage != "evaluate":
        check.skipped["trainings with another revision of the protocol"] += 1
        return None
    return _recorded(manifest, settings, inputs, spec_of(str((manifest.made or {}).get("dataset", "")), data))


def _recorded(
    manifest: Manifest,
    settings: Any = None,
    inputs: Mapping[str, Task] | None = None,
    spec: DatasetSpec | None = None,
) -> Task:
    """The task of a manifest, under the key that it was stored by."""
    task = Task(
        kind=manifest.kind,
        stage=manifest.stage,
        plugin=manifest.plugin,
        revision=manifest.revision,
        schema=manifest.schema,
        settings=settings,
        facts=manifest.facts,
        inputs=inputs or {},
        dataset=manifest.dataset,
        dataset_spec=spec,
        title=manifest.title,
    )
    task.__dict__["key"] = manifest.key  # not hashed anew: not all that it hashes is needed here
    return task


def _has_files(task: Task, store: Store) -> bool:
    """Whether the images that a score was trained on lie in the store."""
    entries = distilled.read_entries(store.folder(task.inputs["distilled"]))
    return bool(entries and entries[0].file_name)


def _can_open(task: Task, datasets: Datasets, store: Store, cache: Path, check: Check) -> bool:
    """Whether the training has its images: those in the store, else those of the dataset."""
    if _has_files(task, store) and task.dataset in datasets:
        return True
    assert task.dataset_spec is not None
    try:
        open_dataset(task.dataset_spec, cache, Progress(), task.dataset)
    except UvlpError as error:
        check.skipped[f"trainings whose dataset cannot be opened: {error}"] += 1
        return False
    return True


def _train_again(
    root: Path,
    target: Path,
    cache: Path,
    manifests: Mapping[str, DatasetManifest],
    task: Task,
    progress: Progress,
    cards: tuple[str, ...],
) -> None:
    machine.single_thread()
    if task.portable:
        portable.begin(torch=True)
    store, folder = Store(root), target / task.key
    folder.mkdir()

    def opened(spec: DatasetSpec, _: Path, progress: Progress, content_hash: str) -> Dataset:
        if content_hash in manifests and _has_files(task, store):
            # Only the number of classes is asked for.
            known: Any = SimpleNamespace(manifest=manifests[content_hash])
            found: Dataset = known
            return found
        return open_dataset(spec, cache, progress, content_hash)

    work = Work(
        task=task,
        folder=folder,
        store=store,
        progress=progress,
        open_dataset=opened,
        cards=cards,
    )
    plugins.load("stages", task.stage).run(work)


def _compare(check: Check, contents: Contents, found: Mapping[str, Score]) -> None:
    """Bits where this machine gives them, else accuracies by interval.

    Bits must be equal for `--portable` with the same packages and C library, and for whatever was made where
    another of the drawn trainings was made that came out bit for bit: this machine computes as that one did.
    """
    same = {name for name, score in found.items() if score == contents.score(name)}
    reproducing = {_where(contents.artifacts[name]) for name in same}
    for name, score in found.items():
        one, kept = contents.artifacts[name], contents.score(name)
        assert one.manifest is not None and kept is not None
        numbers = f"{_numbers(score)} here, {_numbers(kept)} stored"
        if name in same:
            check.checked += 1
            check.remarks.append(f"{one.manifest.title} ({name}): the same bits; {_numbers(score)}")
        elif _is_promised(one) or _where(one) in reproducing:
            check.checked += 1
            check.fail(f"{name}/{scores.FILE}", f"not the same bits: {one.manifest.title}", numbers)
        else:
            _by_interval(check, contents, one, score, kept, comparisons=len(PASSES) * len(found))


def _where(one: Artifact) -> str:
    """Machine and packages that made a score."""
    made = (one.manifest.made if one.manifest else None) or {}
    return repr([made.get(name) for name in ("host", "gpu", "versions")])


def _is_promised(one: Artifact) -> bool:
    """Whether `--portable` promises the same bits here."""
    made = (one.manifest.made if one.manifest else None) or {}
    library = one.facts.portable if isinstance(one.facts, ScoreFacts) else None
    if library is None or made.get("versions") != machine.versions():
        return False
    return library == portable.identity()


def _numbers(score: Score) -> str:
    return f"best {score.best_pct:.2f}, last {score.last_pct:.2f}"


def _by_interval(
    check: Check, contents: Contents, one: Artifact, score: Score, kept: Score, comparisons: int
) -> None:
    """Each accuracy against the prediction interval of its cell's own stored trainings."""
    from uvlp.tables.prediction import prediction_interval_pct

    assert one.manifest is not None
    siblings, basis = _siblings(one, contents)
    for which in PASSES:
        here, stored = getattr(score, which), getattr(kept, which)
        numbers = f"{which.removesuffix('_pct')} {here:.2f} here, {stored:.2f} stored"
        told = f"{one.manifest.title} ({one.name}): {numbers}"
        interval = prediction_interval_pct([getattr(each, which) for each in siblings], LEVEL / comparisons)
        if interval is None:
            check.skipped["numbers without an interval to compare with (one training, or no spread)"] += 1
            check.remarks.append(f"{told}; different bits, and no interval to compare with")
            continue
        check.checked += 1
        low, high = interval
        expected_from = f"{counted(len(siblings), 'trainings')} {basis}"
        within = f"{low:.2f} to {high:.2f}, the range expected from the {expected_from}"
        if low <= here <= high:
            check.remarks.append(f"{told}; different bits, within {within}")
        else:
            check.fail(f"{one.name}/{scores.FILE}", told, allowed=within)


def _siblings(one: Artifact, contents: Contents) -> tuple[list[Score], str]:
    """The stored trainings of its cell; of a score that no table shows, those on the same images.

    A cell of several seeds spreads by its images too, of which those of its own seed are one draw: the
    interval is then rather too wide than too narrow.
    """
    names, basis = _cell(one, contents), "of its cell"
    if not names:
        names, basis = _on_same_images(one, contents), "on the same images"
    return [score for name in names if (score := contents.score(name)) is not None], basis


def _on_same_images(one: Artifact, contents: Contents) -> list[str]:
    def about(each: Artifact) -> tuple[Any, ...]:
        manifest, facts = each.manifest, each.facts
        assert manifest is not None and isinstance(facts, ScoreFacts)
        return manifest.inputs.get("distilled"), facts.network, manifest.plugin, manifest.settings

    return [each.name for each in contents.of_kind(scores.KIND) if about(each) == about(one)]


def _cell(one: Artifact, contents: Contents) -> list[str]:
    for table in measured(contents):
        for cell in table.facts.cells:
            if one.name in (names := table.names(cell)):
                return names
    return []
