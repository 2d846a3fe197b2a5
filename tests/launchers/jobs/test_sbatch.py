"""Arguments of sbatch, its recorded answers, and what the queue prints."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.launchers.chains import fan, task, work
from uvlp.core.errors import UvlpError
from uvlp.core.scheduling import meeting
from uvlp.launchers import slurm
from uvlp.launchers.jobs import limits, order, plan, queue, sbatch
from uvlp.launchers.jobs.batches import Submission
from uvlp.launchers.jobs.grouping import group
from uvlp.launchers.jobs.on_node import local_disk, requeue, start
from uvlp.launchers.jobs.record import Run
from uvlp.launchers.jobs.settings import Settings

BATCH = sbatch.Batch(
    names=("a", "b"), title="uvlp-1-embed", seconds=60.0, after=("3", "4_1"), memory_gb=8, gpus=2
)
ACCOUNT = """
sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified
"""
MUNGE = """
sbatch: error: If munged is up, restart with --num-threads=10
sbatch: error: Munge encode failed: Failed to access "/run/munge/munge.socket.2": No such file or directory
sbatch: error: Batch job submission failed: Protocol authentication error
"""
BUSY = """
sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying
sbatch: error: Batch job submission failed: Resource temporarily unavailable
"""
FULL = """
sbatch: error: AssocMaxSubmitJobLimit
sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size
and/or time limits)
"""


def test_arguments_of_a_job() -> None:
    values = sbatch.arguments(Settings(partition="p", account="a", constraint="c"), BATCH)
    assert values["dependency"] == "afterok:3:4_1" and values["mem"] == "8GB"
    assert (values["partition"], values["account"], values["constraint"]) == ("p", "a", "c")
    assert values["gpus-per-node"] == 2 and values["time"] == 240 and values["requeue"] is True
    assert "--array=0-1" in sbatch.lines(Settings(), BATCH)


def test_jobs_that_only_have_to_start_before() -> None:
    begun = replace(BATCH, begun=("5", "6"))
    assert sbatch.arguments(Settings(), begun)["dependency"] == "afterok:3:4_1,after:5:6"
    assert sbatch.arguments(Settings(), replace(begun, after=()))["dependency"] == "after:5:6"


def test_arguments_of_the_user_replace_those_that_mean_the_same() -> None:
    settings = Settings(sbatch=("gres=gpu:h200:1", "mem-per-cpu=4G", "qos=long", "exclusive="))
    values = sbatch.arguments(settings, BATCH)
    assert "gpus-per-node" not in values and "mem" not in values
    assert values["gres"] == "gpu:h200:1" and values["exclusive"] is True
    assert "exclusive" not in sbatch.arguments(Settings(sbatch=("exclusive=false",)), BATCH)
    plain = sbatch.arguments(Settings(), replace(BATCH, memory_gb=0, after=(), gpus=0))
    assert not {"mem", "gpus-per-node", "dependency", "kill-on-invalid-dep"} & set(plain)


def test_jobs_without_a_card_ask_for_none() -> None:
    own = ("gres=gpu:h200:1", "mem-per-gpu=4G", "qos=long")
    settings = Settings(partition="p", cpu_partition="c", sbatch=own)
    values = sbatch.arguments(settings, replace(BATCH, gpus=0))
    assert not {"gres", "mem-per-gpu", "gpus-per-node"} & set(values)
    assert (values["partition"], values["qos"], values["mem"]) == ("c", "long", "8GB")
    assert sbatch.arguments(settings, BATCH)["partition"] == "p"
    assert sbatch.arguments(replace(settings, gpus=0), replace(BATCH, gpus=0))["gres"] == "gpu:h200:1"


def test_a_job_script_runs_a_module_and_no_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    text = sbatch.script(
        tmp_path, Settings(container="/u.sif", setup=("module load x",)), BATCH, "order-1.json"
    )
    lines = text.split("\n")
    assert "#SBATCH --array=0-1%2" in lines and "#SBATCH --signal=USR2@90" in lines
    (srun,) = [line for line in lines if line.startswith("srun ")]
    module = f"-u -m uvlp.launchers.jobs.on_node.start {tmp_path} order-1.json"
    assert srun.endswith(f"apptainer exec --nv /u.sif /opt/uvlp/.venv/bin/python {module}")
    assert lines.index("module load x") < lines.index(srun) < lines.index("exit $status")
    assert local_disk.SETUP not in lines


def test_a_job_script_names_the_nodes_own_disk_after_the_lines_of_the_user(tmp_path: Path) -> None:
    settings = Settings(stage=True, setup=("export TMPDIR=/scratch",))
    lines = sbatch.script(tmp_path, settings, BATCH, "order-1.json").split("\n")
    (srun,) = [row for row, line in enumerate(lines) if line.startswith("srun ")]
    assert lines.index("export TMPDIR=/scratch") < lines.index(local_disk.SETUP) < srun


def test_the_interpreter_of_workers() -> None:
    assert sbatch.interpreter(Settings(), 1) == ""
    assert sbatch.interpreter(Settings(python="micromamba run python"), 1) == "micromamba run python"
    inside = sbatch.interpreter(Settings(container="/shared/uvlp image.sif"), 1)
    assert inside == "apptainer exec --nv '/shared/uvlp image.sif' /opt/uvlp/.venv/bin/python"
    assert "--nv" not in sbatch.interpreter(Settings(container="u.sif"), 0)


def test_the_words_of_the_cluster_are_passed_on() -> None:
    error = sbatch.refused(ACCOUNT)
    assert isinstance(error, UvlpError) and "Invalid account" in str(error.got)
    error = sbatch.refused(MUNGE)
    assert isinstance(error, UvlpError) and "Munge encode failed" in str(error.got)


def test_a_submit_limit_is_no_error() -> None:
    """Another limit, of which the last line says the same, is one."""
    assert isinstance(sbatch.refused(FULL), sbatch.SubmitLimit)
    assert isinstance(sbatch.refused(BUSY), sbatch.SubmitLimit)
    error = sbatch.refused(FULL.replace("AssocMaxSubmitJobLimit", "QOSMaxWallDurationPerJobLimit"))
    assert isinstance(error, UvlpError) and "QOSMaxWallDurationPerJobLimit" in str(error.got)


@pytest.mark.parametrize("room", [0, 1, 3, 6])
def test_a_queue_with_less_room_than_an_array_gets_smaller_ones(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The probe, too, waits for room; the rest is submitted when the command tries again."""
    sizes: list[int] = []
    numbers = map(str, range(1, 99))

    def submit(folder: Path, settings: Settings, batch: sbatch.Batch, name: str) -> list[str]:
        if sum(sizes) + len(batch.names) > room:
            raise sbatch.SubmitLimit("AssocMaxSubmitJobLimit")
        sizes.append(len(batch.names))
        return [next(numbers) for _ in batch.names]

    monkeypatch.setattr(sbatch, "submit", submit)
    monkeypatch.setattr(queue, "largest_array", lambda: 1000)
    tasks = [task(number) for number in range(8)]
    submission = Submission(work(tmp_path, tasks), Run(tmp_path / "launched" / "r"), Settings(), 0.0)
    live = list(submission.submit([]))
    assert sum(sizes) == room == len(live) and submission.left == len(tasks) - max(0, room - 1)
    assert not list(submission.submit(live)), "nothing has ended"
    assert capsys.readouterr().err.count("jobs wait for room in the queue (") == 1
    room = 99
    live += submission.submit(live)
    assert sum(bool(job.tasks) for job in live) == len(tasks) and submission.left == 0


def test_complete_arrays_are_one_dependency() -> None:
    arrays = {"5": ["5_0", "5_1"], "6": ["6_0", "6_1"], "7": ["7"]}
    assert sbatch.whole_arrays(["5_0", "5_1", "6_1", "7"], arrays) == ("5", "6_1", "7")


def printed(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        if text is None:
            raise FileNotFoundError(command[0])
        return subprocess.CompletedProcess(command, 0, text.encode(), b"")

    monkeypatch.setattr(subprocess, "run", run)


def test_states_of_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, "12_3|RUNNING|uvlp-1-embed|None\n13|OUT_OF_MEMORY|uvlp|OutOfMemory\n")
    states = queue.states()
    assert states["12_3"].live and not states["13"].live


def test_an_answer_of_squeue_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not mean that all jobs have ended."""
    printed(monkeypatch, "the database is down\nfoo|bar\n")
    with pytest.raises(queue.NoAnswer) as caught:
        queue.states()
    assert "the database is down" in str(caught.value)
    printed(monkeypatch, "a note\n7|PENDING|uvlp|1|x|(Priority)\n8|RUNNING|a|b|None\n")
    assert set(queue.states()) == {"7", "8"}
    printed(monkeypatch, "\n")
    assert queue.states() == {}


def test_only_jobs_of_uvlp_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "1|RUNNING|uvlp-1-embed|None\n2|RUNNING|mine|None\n3|COMPLETED|uvlp-1-x|None\n"
    commands: list[list[str]] = []

    def output(command: list[str]) -> str:
        commands.append(command)
        return listed

    monkeypatch.setattr(queue, "_answer", output)
    assert queue.cancel(["1", "2", "3"]) == 1 and commands[-1] == ["scancel", "1"]


def test_a_missing_accounting_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, None)
    assert queue.past(["1"]) == {} and queue.largest_array() == 1


def test_a_late_accounting_lacks_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    printed(monkeypatch, "1| \ngarbage\n2|\n3\n")
    assert queue.past(["1", "2", "3"]) == {}
    printed(monkeypatch, "1|CANCELLED by 1000\n")
    assert queue.past(["1", "2"]) == {"1": "CANCELLED"}


def test_a_time_limit_below_a_task_that_cannot_resume(tmp_path: Path) -> None:
    tasks = [task(1, "evaluate")]
    long = work(tmp_path, tasks, estimates={tasks[0].key: 7200.0})
    with pytest.raises(UvlpError) as caught:
        limits.check_time(long, Settings(time_minutes=60))
    assert caught.value.got == "60 min" and "123 min" in str(caught.value.allowed)
    resumed = [task(1, "finetune")]
    limits.check_time(work(tmp_path, resumed, estimates={resumed[0].key: 7200.0}), Settings(time_minutes=60))


def test_slurm_needs_its_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UvlpError) as caught:
        slurm.check(Settings())
    assert "sbatch" in caught.value.what


def test_arguments_that_uvlp_sets() -> None:
    with pytest.raises(UvlpError) as caught:
        limits.check_arguments(Settings(sbatch=("dependency=afterok:1",)))
    assert caught.value.got == "launcher.sbatch.dependency=afterok:1"


@pytest.mark.parametrize(
    "given", ["parsable=", "nodes=abc", "J=x", "=x", "", "a b=c", "mem=4G", "wait=false"]
)
def test_what_is_no_argument_for_sbatch(given: str) -> None:
    """With some of them a job would be submitted whose number is not found."""
    with pytest.raises(UvlpError) as caught:
        limits.check_arguments(Settings(sbatch=("qos=long", given)))
    assert caught.value.got == f"launcher.sbatch.{given}" and caught.value.fix


@pytest.mark.parametrize("name", ["50%", "back\\slash", "two\nlines"])
def test_a_store_without_logs(tmp_path: Path, name: str) -> None:
    with pytest.raises(UvlpError) as caught:
        slurm.lines(work(tmp_path / name, fan(1)), Settings())
    assert "--store DIR" in str(caught.value.fix)
    assert slurm.lines(work(tmp_path / "ünï 'c\"o$de", fan(1)), Settings())


def test_the_plan_of_a_dry_run(tmp_path: Path) -> None:
    tasks = fan(4)
    hour = work(tmp_path, tasks, estimates={each.key: 3600.0 for each in tasks})
    lines = plan.lines(Submission(hour, Run(tmp_path / "run"), Settings(), 1800.0), Settings())
    assert lines[0] == "jobs: 6 for 6 artifacts (0 parts), 3 calls of sbatch (1 arrays); 6.0 GPU-hours"
    assert [line.partition(" ")[0] for line in lines[2:]] == ["1:", "2:", "3:"]
    assert "--dependency=afterok:1 " in lines[3] and "--array=0-3" in lines[3]
    assert "--dependency=afterok:2 " in lines[4]
    assert not (tmp_path / "run").exists()


def test_a_task_that_takes_several_cards_gets_them(tmp_path: Path) -> None:
    tasks = fan(1)
    asked = replace(work(tmp_path, tasks), cards={tasks[0].key: 4})
    submission = Submission(asked, Run(tmp_path / "run"), Settings(), 0.0)
    assert [batch.gpus for batch in submission.batches(submission.groups())] == [4, 1, 1]


def test_a_fine_tuning_with_more_gpus_than_a_node_has_takes_several(tmp_path: Path) -> None:
    tasks = fan(1)
    asked = replace(work(tmp_path, tasks), cards={tasks[0].key: 12})
    settings = Settings(node_gpus=8)
    submission = Submission(asked, Run(tmp_path / "run"), settings, 0.0)
    first, *others = submission.batches(submission.groups())
    values = sbatch.arguments(settings, first)
    assert (values["nodes"], values["ntasks-per-node"], values["gpus-per-node"]) == (2, 1, 6)
    lines = sbatch.script(tmp_path, settings, first, "order.json").split("\n")
    assert {"#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=1", "#SBATCH --gpus-per-node=6"} <= set(lines)
    assert not any(line.startswith("#SBATCH --nodes=1") for line in lines)
    (srun,) = [line for line in lines if line.startswith("srun ")]
    assert "--kill-on-bad-exit=1" in srun, "the nodes that follow end with the first one"
    assert all("nodes" not in sbatch.arguments(settings, each) for each in others)
    limits.check_nodes(asked, settings)
    with pytest.raises(UvlpError) as caught:
        limits.check_nodes(replace(asked, cards={tasks[0].key: 20}), settings)
    assert caught.value.got == 20 and caught.value.allowed == "18 or 21"
    limits.check_nodes(replace(asked, cards={tasks[0].key: 20}), Settings())  # nodes of any size


def test_the_nodes_of_a_job_but_the_first_follow_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = order.Limits(minutes=9, timeouts=0, masked=False, staged=False)
    tasks = fan(1)
    file = order.write(tmp_path, {"job": tasks}, work(tmp_path, tasks).make, None, told)
    ran: list[object] = []
    monkeypatch.setattr(requeue, "run", lambda job, *_: ran.append(job.name))

    def replaced(path: str, arguments: list[str]) -> None:
        ran.append(arguments[2:])
        raise SystemExit

    monkeypatch.setattr(os, "execv", replaced)
    monkeypatch.setenv("SLURM_NTASKS", "2")
    place = str(tmp_path / "meetings/job-7-1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(SystemExit):
        start.main(tmp_path, file)
    for name in (meeting.MACHINES, meeting.MEETING):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("SLURM_PROCID", "0")
    start.main(tmp_path, file)
    assert ran == [[start.FOLLOW, place, "1"], "job"]
    assert (Path(place) / meeting.END).exists(), "they end"
    assert (meeting.machines(), os.environ[meeting.MEETING]) == (2, place)


def test_tasks_without_a_card_are_counted_apart(tmp_path: Path) -> None:
    tasks = fan(1)
    hour = work(tmp_path, tasks, estimates={each.key: 3600.0 for each in tasks}, cards={tasks[0].key: 0})
    submission = Submission(hour, Run(tmp_path / "run"), Settings(), 0.0)
    assert plan.lines(submission, Settings())[0].endswith("; 2.0 GPU-hours and 1.0 hours without a GPU")
    assert [batch.gpus for batch in submission.batches(submission.groups())] == [0, 1, 1]


def test_time_on_several_cards() -> None:
    tasks = fan(4)
    groups = group(tasks, {each.key: 3600.0 for each in tasks}, 0.0)
    alone = [1] * len(groups)
    assert [plan.time_on(groups, alone, count) / 3600 for count in (1, 2, 4)] == [6.0, 4.0, 3.0]
    large = [1, 2, 2, 2, 0, 0]
    assert plan.time_on(groups, large, 2) / 3600 == 5.0, "three share two cards, the others wait for none"
    assert plan.time_on(groups, large, 4) / 3600 == 4.0


def test_only_numbers_of_cards_on_which_every_job_fits_are_shown(tmp_path: Path) -> None:
    tasks = fan(2)
    hour = work(tmp_path, tasks, estimates={each.key: 3600.0 for each in tasks}, cards={tasks[1].key: 16})
    (_, times, *_) = plan.lines(Submission(hour, Run(tmp_path / "run"), Settings(), 0.0), Settings())
    assert times == "longest chain: 3.0 h; on so many GPUs, without a queue: 64: 3.0 h"
