"""Run one process per GPU with `accelerate launch`, and relay progress and errors to the stage.

The main process writes its progress to standard output, one JSON line per event; a process that fails
leaves `error-<rank>.json` beside the job.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from uvlp.artifacts.store import explain_store_errors
from uvlp.core.errors import Stopped, UvlpError, WorkerFailed
from uvlp.core.nvidia import MASK
from uvlp.core.plugins import PACKAGE
from uvlp.core.progress import Event, Progress
from uvlp.core.scheduling import meeting, workers

MODULE = "uvlp.models.finetuning.job"
JOB, OUTPUT = "job.json", "processes.log"
PATIENCE_S = 10.0


def command(
    job: Path, processes: int, cpu: bool = False, call: meeting.Call | None = None, rank: int = 0
) -> list[str]:
    """Return the command that runs a job in ``processes`` processes on this machine.

    Args:
        job: file of the job.
        processes: their number here.
        cpu: whether they compute on the processor.
        call: of several machines, with equal numbers of processes; None: of this one alone.
        rank: of this machine among them.
    """
    of_python = [sys.executable, "-m"]
    machines = call.machines if call else 1
    if cpu:  # accelerate's launcher would start one process only
        where = ["--standalone"]
        if call is not None:
            where = ["--nnodes", str(machines), "--node_rank", str(rank)]
            where += ["--master_addr", call.address, "--master_port", str(call.port)]
        own = ["torch.distributed.run", "--nproc_per_node", str(processes), *where]
        return [*of_python, *own, "--module", MODULE, str(job)]
    where = ["--main_process_port", str(call.port if call else 0)]
    if call is not None:
        where += ["--machine_rank", str(rank), "--main_process_ip", call.address, "--same_network"]
    return [
        *(*of_python, "accelerate.commands.launch", "--multi_gpu"),
        *("--num_processes", str(processes * machines), "--num_machines", str(machines), *where),
        *("--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"),
        *("--module", MODULE, str(job)),
    ]


def environment(cards: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of the processes; see `launch`."""
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path} | ({MASK: ",".join(cards)} if cards else {})


def launch(
    job: str,
    folder: Path,
    processes: int,
    progress: Progress,
    cpu: bool = False,
    cards: Sequence[str] = (),
) -> None:
    """Run the job (JSON text) in several processes, which are terminated with this one.

    They run on all machines of the job of a cluster (`core/scheduling/meeting.py`), which see the folder.

    Args:
        folder: for the job and the output of the processes.
        processes: of this machine.
        cards: the GPUs of the processes, as CUDA names them; empty: those that this process sees.

    Raises:
        UvlpError: as raised in a process.
        Stopped: another machine was lost.
        WorkerFailed: a process raised another exception, or was killed.
    """
    for stale in folder.glob("error-*.json"):
        stale.unlink()
    (folder / JOB).write_text(job, encoding="utf-8")
    with (
        _machines(folder / JOB, processes, cpu) as call,
        (folder / OUTPUT).open("w", encoding="utf-8") as output,
    ):
        running = subprocess.Popen(
            command(folder / JOB, processes, cpu, call),
            env=environment(cards),
            stdout=subprocess.PIPE,
            stderr=output,
            encoding="utf-8",
            errors="replace",
        )
        try:
            assert running.stdout is not None
            for line in running.stdout:
                _relay(line, progress)
            code = running.wait()
        finally:
            _terminate(running)
    if code:
        _fail(_failure(folder, code))


def _fail(failure: Exception) -> NoReturn:
    """Raise an error of the processes, unless another machine was lost, which breaks their connections.

    Raises:
        Stopped: that; the cluster will notice it too, and start the job anew.
    """
    if isinstance(failure, WorkerFailed) and (absent := meeting.absent()):
        ranks = ", ".join(map(str, absent))
        raise Stopped(f"machine {ranks} of the job does not answer", fix=workers.RESUME) from failure
    raise failure


def _machines(job: Path, processes: int, cpu: bool) -> AbstractContextManager[meeting.Call | None]:
    """Return a context that asks other machines of the job to take part, if there are some."""
    if meeting.machines() == 1:
        return nullcontext()
    from accelerate.utils.other import get_free_port

    return meeting.calling(job, processes, cpu, get_free_port())


def _relay(line: str, progress: Progress) -> None:
    """Relay one event; lines that libraries print are ignored."""
    try:
        event = Event(**json.loads(line))
    except (ValueError, TypeError):
        return
    if event.values:
        progress.point(event.step, 0, **event.values)
    elif event.message:
        progress.log(event.message)
    else:
        progress.at(event.done, event.total, event.label)


def _terminate(running: subprocess.Popen[str]) -> None:
    if running.poll() is None:
        running.terminate()
        try:
            running.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
    if running.stdout is not None:
        running.stdout.close()


def _failure(folder: Path, code: int) -> Exception:
    """Return the error of the first process that failed, or one with the last line of output."""
    files = sorted(folder.glob("error-*.json"), key=lambda path: path.stat().st_mtime_ns)
    if files:
        error = json.loads(files[0].read_text(encoding="utf-8"))
        if "what" in error:
            return UvlpError(error["what"], got=error["got"], allowed=error["allowed"], fix=error["fix"])
        return WorkerFailed(error["text"], error["details"])
    details = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
    return workers.process_death("a process of the fine-tuning", code, details)


def serve(job: Path, train: Callable[[str, Progress], None]) -> None:
    """Run the job in one of the processes; exit with code 1 on failure."""
    folder, progress = job.parent, Progress(_print_event)
    progress.curves = True  # the process that relays them knows whether anyone receives them
    try:
        with explain_store_errors(folder):
            train(job.read_text(encoding="utf-8"), progress)
    except Exception as error:
        _write_error(folder, error)
        sys.exit(1)


def _print_event(event: Event) -> None:
    print(json.dumps(asdict(event)), flush=True)


def _write_error(folder: Path, error: Exception) -> None:
    if isinstance(error, UvlpError):
        got = None if error.got is None else str(error.got)
        content: dict[str, object] = {
            "what": error.what,
            "got": got,
            "allowed": error.allowed,
            "fix": error.fix,
        }
    else:
        text = f"{type(error).__name__}: {error}".replace("\n", " ")
        content = {"text": text, "details": "".join(traceback.format_exception(error))}
    (folder / f"error-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(content), encoding="utf-8")
