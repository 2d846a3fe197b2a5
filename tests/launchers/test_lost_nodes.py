"""slurm on a real Slurm whose nodes are lost: jobs are queued again, continue, and give the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.launchers import chains, finetunings
from tests.launchers.nodes import lost, preempt, shown, start_at_once, until
from tests.models.finetuning.finetuning_jobs import bytes_of, make_world
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST
from uvlp.core.errors import Detached
from uvlp.core.progress import Progress
from uvlp.launchers import slurm
from uvlp.launchers.jobs import endings, record
from uvlp.launchers.jobs.settings import Settings
from uvlp.models.finetuning import launch

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world") / "world")


@pytest.fixture(scope="module")
def expected(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The fine-tuning by two processes of this machine, without an interruption."""
    root = tmp_path_factory.mktemp("here")
    folder, partial = root / "folder", root / "partial"
    for each in (folder, partial):
        each.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        launch.launch(finetunings.job(world, folder, partial).to_json(), partial, 2, Progress(), cpu=True)
    return bytes_of(folder)


@pytest.mark.parametrize("what", ["the other node", "the first node", "preempted"])
def test_a_fine_tuning_on_two_nodes_that_loses_one(
    what: str,
    cluster: Settings,
    world: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = replace(cluster, node_gpus=1, memory_gb=2)
    with pytest.raises(Detached):
        slurm.launch(finetunings.work(tmp_path, world, 2, detach=True), settings)
    run = record.find_run(tmp_path, finetunings.TASK.key)
    (job,) = run.jobs
    partial = Store(tmp_path).partial(finetunings.TASK)
    until(lambda: any(partial.glob("checkpoint-*/files.json")), 180)
    assert shown(job.id, "NumNodes") == "2"
    first = shown(job.id, "BatchHost")
    other = next(f"node{number}" for number in (1, 2, 3) if f"node{number}" != first)
    if what == "preempted":
        preempt(first)
        start_at_once(job.id)
        slurm.launch(finetunings.work(tmp_path, world, 2, detach=False), settings)
    else:
        with lost(first if what == "the first node" else other):
            start_at_once(job.id)
            slurm.launch(finetunings.work(tmp_path, world, 2, detach=False), settings)
    assert shown(job.id, "Restarts") == "1", "the same job"
    assert "resuming from checkpoint" in endings.log_path(run, job).read_text(encoding="utf-8")
    made = bytes_of(Store(tmp_path).folder(finetunings.TASK))
    del made[MANIFEST]
    assert made == expected


@pytest.mark.parametrize("steps", [True, False])
def test_a_task_whose_node_is_lost_is_made_once(steps: bool, cluster: Settings, tmp_path: Path) -> None:
    """If its process goes on there, the next start waits for it, and does not make the task again."""
    tasks, seconds = [chains.task(1)], 10 if steps else 60
    with pytest.raises(Detached):
        slurm.launch(chains.work(tmp_path, tasks, seconds=seconds, detach=True), cluster)
    run = record.find_run(tmp_path, tasks[0].key)
    (job,) = run.jobs
    done = Store(tmp_path).partial(tasks[0]) / "steps"
    until(lambda: done.is_file() and len(done.read_text(encoding="utf-8")) > 5)
    with lost(shown(job.id, "BatchHost"), steps=steps):
        start_at_once(job.id)
        slurm.launch(chains.work(tmp_path, tasks, seconds=seconds), cluster)
    assert shown(job.id, "Restarts") == "1", "the same job"
    assert (Store(tmp_path).folder(tasks[0]) / "made.txt").read_text(encoding="utf-8") == job.id
    log = endings.log_path(run, job).read_text(encoding="utf-8")
    assert ("another uvlp process is making" in log) == (not steps)
