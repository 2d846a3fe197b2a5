"""slurm on a real Slurm: dependencies, errors, cancelled and preempted jobs, attaching again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.launchers.chains import fan, task, work
from tests.launchers.nodes import listed, preempt, shown, start_at_once, until
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import Task
from uvlp.core.errors import Detached, UvlpError
from uvlp.launchers import slurm
from uvlp.launchers.jobs import limits, record, sbatch
from uvlp.launchers.jobs.settings import Settings

pytestmark = pytest.mark.cluster


def made(root: Path, tasks: list[Task]) -> list[str]:
    return [(Store(root).folder(each) / "made.txt").read_text(encoding="utf-8") for each in tasks]


def test_jobs_wait_for_those_that_they_need(cluster: Settings, tmp_path: Path) -> None:
    tasks = fan(3)
    slurm.launch(work(tmp_path, tasks), cluster)
    assert len(set(made(tmp_path, tasks))) == len(tasks)
    (run,) = (record.find_run(tmp_path, tasks[-1].key[:8]),)
    arrays = {job.id.partition("_")[0] for job in run.jobs if "evaluate" in job.title}
    assert len(arrays) == 1, "equal jobs are one array"


def test_short_tasks_share_a_job(cluster: Settings, tmp_path: Path) -> None:
    tasks = fan(3)
    slurm.launch(work(tmp_path, tasks), replace(cluster, job_minutes=30))
    assert len(set(made(tmp_path, tasks))) == 1


def test_a_mistake_of_the_user_stays_one_and_the_same_command_resumes(
    cluster: Settings, tmp_path: Path
) -> None:
    tasks = fan(2)
    with pytest.raises(UvlpError) as caught:
        slurm.launch(work(tmp_path, tasks, wrong=[1]), cluster)
    error = caught.value
    assert (error.what, error.got, error.allowed, error.fix) == (
        *("a wrong number", 1, "another one", "change it"),
    )
    slurm.launch(work(tmp_path, tasks), cluster)
    assert Store(tmp_path).has(tasks[-1])


def test_the_cluster_refuses_a_partition(cluster: Settings, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        slurm.launch(work(tmp_path, [task(1)]), replace(cluster, partition="nowhere"))
    assert "nowhere" in str(caught.value.got)


def test_more_gpus_than_a_node_has(cluster: Settings, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        slurm.launch(work(tmp_path, [task(1)]), replace(cluster, gpus=9))
    assert "not available" in str(caught.value.got)


def test_detached_jobs_go_on_and_the_same_call_attaches(cluster: Settings, tmp_path: Path) -> None:
    tasks = [task(1)]
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=3, detach=True), cluster)
    slurm.launch(work(tmp_path, tasks, seconds=3), cluster)
    assert [job.id for job in record.find_run(tmp_path, tasks[0].key).jobs] == made(tmp_path, tasks)


def test_a_cancelled_job_is_named(cluster: Settings, tmp_path: Path) -> None:
    tasks = [task(1)]
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=60, detach=True), cluster)
    (job,) = record.find_run(tmp_path, tasks[0].key).jobs
    caller = subprocess.Popen(["sh", "-c", f"sleep 3; scancel {job.id}"])
    with pytest.raises(UvlpError) as caught:
        slurm.launch(work(tmp_path, tasks, seconds=60), cluster)
    caller.wait()
    assert f"job {job.id} ({tasks[0].title}) was cancelled" in caught.value.what


def test_a_cancelled_element_of_an_array_is_named(
    cluster: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that waits: Slurm forgets it at once, and there is no accounting."""
    tasks = [task(number) for number in range(1, 9)]
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=60, detach=True), cluster)
    jobs = record.find_run(tmp_path, tasks[-1].key).jobs
    until(lambda: any(job.tasks and listed()[job.id].state == "RUNNING" for job in jobs))
    waits = next(job for job in jobs if listed()[job.id].state == "PENDING")
    subprocess.run(["scancel", waits.id], check=True)
    until(lambda: waits.id not in listed())
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=60, detach=True), cluster)
    assert f"submitting again: job {waits.id} ({waits.title}) was cancelled" in capsys.readouterr().err


def test_jobs_without_a_card_get_none(cluster: Settings, tmp_path: Path) -> None:
    tasks = [task(1), task(2)]
    slurm.launch(work(tmp_path, tasks, cards={tasks[0].key: 0}), cluster)
    cards = [(Store(tmp_path).folder(one) / "cards.txt").read_text(encoding="utf-8") for one in tasks]
    assert cards[0] == "" and cards[1] != "", "all cards of the node are visible to a job that asks for none"


def test_jobs_beside_the_chain_let_a_large_one_start_first(cluster: Settings, tmp_path: Path) -> None:
    first, other = task(1), task(2)
    large = task(3, "finetune", {"first": first})
    table = task(4, "tabulate", {"large": large, "other": other})
    cards = {large.key: 2, table.key: 0}
    slurm.launch(work(tmp_path, [first, other, large, table], seconds=2, cards=cards), cluster)
    ended = [(Store(tmp_path).folder(each) / "made.txt").stat().st_mtime for each in (first, other)]
    assert ended[1] > ended[0] + 1.9, "at once they would end at the same time"


def test_a_probe_that_failed_meanwhile_is_submitted_again(cluster: Settings, tmp_path: Path) -> None:
    tasks = fan(2)
    broken = replace(cluster, setup=("exit 3",))
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, detach=True), broken)
    (probe,) = [job for job in record.find_run(tmp_path, tasks[-1].key).jobs if not job.tasks]
    until(lambda: not listed()[probe.id].live)
    slurm.launch(work(tmp_path, tasks), cluster)
    assert Store(tmp_path).has(tasks[-1])


def test_cancelling_a_run(cluster: Settings, tmp_path: Path) -> None:
    tasks = fan(2)
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=60, detach=True), cluster)
    assert slurm.cancel(tmp_path, tasks[-1].key[:8]) == len(tasks) + 1, "tasks, and the probe"
    jobs = record.find_run(tmp_path, tasks[-1].key).jobs
    until(lambda: not any(job.id in listed() and listed()[job.id].live for job in jobs))


def test_a_preempted_job_is_queued_again_and_continues(cluster: Settings, tmp_path: Path) -> None:
    tasks = [task(1)]
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=8, detach=True), replace(cluster, constraint="node1"))
    steps = Store(tmp_path).partial(tasks[0]) / "steps"
    until(lambda: steps.is_file() and len(steps.read_text(encoding="utf-8")) > 5)
    preempt("node1")
    (job,) = record.find_run(tmp_path, tasks[0].key).jobs
    start_at_once(job.id)
    slurm.launch(work(tmp_path, tasks, seconds=8), replace(cluster, constraint="node1"))
    assert made(tmp_path, tasks) == [job.id]
    assert shown(job.id, "Restarts") != "0"


def test_a_job_that_an_administrator_queues_again_continues(cluster: Settings, tmp_path: Path) -> None:
    tasks = [task(1)]
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, seconds=4, detach=True), cluster)
    steps = Store(tmp_path).partial(tasks[0]) / "steps"
    until(lambda: steps.is_file() and len(steps.read_text(encoding="utf-8")) > 5)
    (job,) = record.find_run(tmp_path, tasks[0].key).jobs
    subprocess.run(["scontrol", "requeue", job.id], check=True)
    start_at_once(job.id)
    slurm.launch(work(tmp_path, tasks, seconds=4), cluster)
    assert made(tmp_path, tasks) == [job.id] and shown(job.id, "Restarts") == "1"


def test_a_held_job_and_a_drained_node_are_named(
    cluster: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [task(1)]
    settings = replace(cluster, sbatch=("hold=true",), constraint="node1")
    with pytest.raises(Detached):
        slurm.launch(work(tmp_path, tasks, detach=True), settings)
    (job,) = record.find_run(tmp_path, tasks[0].key).jobs
    node = "scontrol update NodeName=node1 State"
    acts = (
        f"{node}=DRAIN Reason=a-test",
        "sleep 3",
        f"scontrol release {job.id}",
        "sleep 4",
        f"{node}=RESUME",
    )
    administrator = subprocess.Popen(["sh", "-c", "; ".join(acts)])
    try:
        slurm.launch(work(tmp_path, tasks), settings)
    finally:
        administrator.wait()
    printed = capsys.readouterr().err
    assert "JobHeldUser" in printed and "ReqNodeNotAvail" in printed
    assert made(tmp_path, tasks) == [job.id]


def test_attaching_after_the_main_process_was_killed(cluster: Settings, tmp_path: Path) -> None:
    tasks = fan(2)
    code = f"""
from pathlib import Path
from tests.launchers.chains import fan, work
from uvlp.launchers import slurm
from uvlp.launchers.jobs.settings import Settings
slurm.launch(work(Path({str(tmp_path)!r}), fan(2), seconds=1), Settings(memory_gb=1, cpus=1, job_minutes=0))
"""
    main = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: Store(tmp_path).has(tasks[0]))
    main.kill()
    main.wait()
    before = {job.id for job in record.find_run(tmp_path, tasks[-1].key).jobs}
    slurm.launch(work(tmp_path, tasks, seconds=1), cluster)
    assert set(made(tmp_path, tasks)) <= {identity.split("_")[0] for identity in before} | set(raw_numbers())
    assert {job.id for job in record.find_run(tmp_path, tasks[-1].key).jobs} <= before, "none is new"


def raw_numbers() -> list[str]:
    """Return the numbers of all jobs, those of an array's elements one by one."""
    command = ["squeue", "--me", "--array", "-h", "-t", "all", "-o", "%A"]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.split()


@pytest.mark.long
def test_a_job_at_its_time_limit_is_queued_again_by_the_warning(
    cluster: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "START_S", 0.0)
    tasks = [task(1), task(2, inputs={"a": task(1)})]
    settings = replace(cluster, time_minutes=2, warning_s=30)  # it comes up to a minute earlier
    short = work(tmp_path, tasks, seconds=100, detach=True, estimates={tasks[1].key: 1.0})
    with pytest.raises(Detached):
        slurm.launch(short, settings)
    job = next(job for job in record.find_run(tmp_path, tasks[1].key).jobs if tasks[0].key in job.tasks)
    start_at_once(job.id, 150)
    steps = Store(tmp_path).partial(tasks[0]) / "steps"
    assert len(steps.read_text(encoding="utf-8")) > 5, "what the first start made is used"
    slurm.launch(work(tmp_path, tasks, seconds=100, estimates={tasks[1].key: 1.0}), settings)
    assert made(tmp_path, tasks)[0] == job.id
    left = list((tmp_path / "launched").glob("*/*.left.json"))
    assert all("timeouts_left" in file.read_text(encoding="utf-8") for file in left) and left


@pytest.mark.long
def test_a_job_at_its_time_limit_without_a_warning_is_submitted_again(
    cluster: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits, "START_S", 0.0)
    script = sbatch.script
    monkeypatch.setattr(sbatch, "script", lambda *given: script(*given).replace("#SBATCH --signal", "##"))
    tasks = [task(1), task(2, inputs={"a": task(1)})]
    settings = replace(cluster, time_minutes=1, warning_s=10)
    slurm.launch(work(tmp_path, tasks, seconds=130, estimates={tasks[1].key: 1.0}), settings)
    assert "reached its time limit; submitting it again (1 of 3)" in capsys.readouterr().err
    assert all(map(Store(tmp_path).has, tasks))


@pytest.mark.long
def test_a_store_that_nodes_do_not_see(cluster: Settings, tmp_path: Path) -> None:
    """The jobs run where the path of the store is another, empty folder."""
    (tmp_path / "store").mkdir()
    hidden = (
        f"unshare --mount sh -c 'mount -t tmpfs none {tmp_path / 'store'} && exec \"$@\"' -- {sys.executable}"
    )
    with pytest.raises(UvlpError) as caught:
        slurm.launch(work(tmp_path / "store", fan(2)), replace(cluster, python=hidden))
    assert "probe" in caught.value.what
