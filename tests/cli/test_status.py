"""`uvlp status`: runs that last, ended, failed or were killed, at any width of the terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from tests.pipeline.runs.test_journal import MODEL, SCORES, TASKS, Silent
from uvlp.core.progress import Event
from uvlp.pipeline.runs import files
from uvlp.pipeline.runs.journal import recorded

COMMAND = "uvlp reproduce 'folder:my images' 10 --method random,uvlp --set evaluate.epochs=100 --seed 0,1,2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.mark.parametrize("width", range(40, 121, 16))
def test_running_run_at_any_width(
    call: Call, root: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    seconds = {task.key: 600.0 for task in TASKS}
    with recorded(root, TASKS, 2, seconds, COMMAND, Silent()) as view:
        view.begin("captions")
        view.end("captions", 12.5)
        view.begin("model")
        view.event("model", Event("model", device="Pretended GPU"))
        code, out, err = call("status")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= width
    text = " ".join(out.replace(" \\\n", " ").split())
    for part in ("1 done", "1 running", "4 waiting", "0 failed", "min left", "Pretended GPU", COMMAND):
        assert part in text, part


def test_failed_job_with_its_log(call: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")  # the command is not broken into two lines
    details = "Traceback (most recent call last):\n  File x\nValueError: the reason\n"
    with pytest.raises(ValueError), recorded(root, TASKS, 2, {}, COMMAND, Silent()) as view:
        view.begin("captions")
        view.event("captions", Event("captions", failure=details))
        raise ValueError("the reason")
    code, out, _ = call("status")
    assert code == 0 and "1 failed" in out and "ValueError: the reason" in out and COMMAND in out
    values = json.loads(call("status", "--json")[1])
    assert (values["state"], values["tasks"]["failed"], values["command"]) == ("broken", 1, COMMAND)
    assert Path(values["jobs"][0]["log"]).read_text(encoding="utf-8") == details
    assert f"log: {values['jobs'][0]['log']}" in out


def test_newest_of_several_runs_is_shown(call: Call, root: Path) -> None:
    for tasks in (TASKS, (MODEL,), SCORES[:2]):
        with recorded(root, tasks, 1, {}, "uvlp reproduce digits 1", Silent()):
            time.sleep(0.002)  # names have milliseconds
    names = files.names(root)
    code, out, _ = call("status")
    assert code == 0 and all(name in out for name in names) and "2 tasks" in out
    code, out, _ = call("status", names[0])
    assert code == 0 and names[1] not in out and "6 tasks" in out
    assert json.loads(call("status", names[1], "--json")[1])["runs"] == names


def test_run_of_another_host_says_when_it_last_reported(call: Call, root: Path) -> None:
    with recorded(root, TASKS, 1, {}, "uvlp reproduce digits 1", Silent()) as view:
        view.begin("captions")
        (name,) = files.names(root)
        path = root / files.FOLDER / name / files.HEADER
        header = json.loads(path.read_text(encoding="utf-8"))
        header |= {"at_s": 86400.0, "process": header["process"] | {"host": "node-7", "boot": "other"}}
        path.write_text(json.dumps(header), encoding="utf-8")
        code, out, _ = call("status")
        values = json.loads(call("status", "--json")[1])
    text = " ".join(out.split())
    assert code == 0 and "node-7" in text and "last report" in text and "(1970-01-02 00:00:0" in text
    assert (values["state"], values["host"], values["began"]) == (
        *("unknown", "node-7"),
        "1970-01-02 00:00:00 UTC",
    )


def test_unknown_run_and_no_run_are_one_line(call: Call, root: Path) -> None:
    code, out, err = call("status")
    assert (code, out, err.count("\n")) == (2, "", 1) and str(root) in err
    with recorded(root, TASKS, 1, {}, "uvlp reproduce digits 1", Silent()):
        pass
    (name,) = files.names(root)
    code, out, err = call("status", f"{name[:-1]}x")
    assert (code, out, err.count("\n")) == (2, "", 1) and name in err


def test_a_call_imports_nothing_that_is_slow(root: Path) -> None:
    with recorded(root, TASKS, 1, {}, "uvlp reproduce digits 1", Silent()):
        pass
    code = (
        "import atexit, sys; from uvlp.cli import app; "
        "slow = {'importlib.metadata', 'numpy', 'pydantic', 'rich', 'torch'}; "
        "atexit.register(lambda: print(*slow & sys.modules.keys())); "
        f"sys.argv = ['uvlp', 'status', '--store', {str(root)!r}]; app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert "6 tasks" in done.stdout and done.stdout.endswith("\n\n"), done.stdout


@pytest.mark.slow
def test_run_that_was_killed_says_how_to_resume(tmp_path: Path) -> None:
    arguments = ["reproduce", "digits", "1", "--profile", "nano", "--method", "random", "--store", "store"]
    python = [sys.executable, "-m", "uvlp"]

    def uvlp(*words: str) -> str:
        done = subprocess.run([*python, *words], cwd=tmp_path, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout

    with subprocess.Popen(
        [*python, *arguments], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        until = time.monotonic() + 60
        while not list((tmp_path / "store").glob(f".runs/*/{files.EVENTS}")) and time.monotonic() < until:
            time.sleep(0.05)
        running = uvlp("status", "--store", "store", "--json")
        os.killpg(process.pid, signal.SIGKILL)
    values = json.loads(running)
    assert values["state"] == "running" and values["left_s"] > 0, "from the estimates"
    out = uvlp("status", "--store", "store")
    assert "ended without finishing" in out and f"uvlp {' '.join(arguments)}" in out.replace(" \\\n   ", "")
    uvlp(*arguments)
    after = json.loads(uvlp("status", "--store", "store", "--json"))
    assert all(each["device"] for each in after["jobs"])
    assert {each["device"] for each in after["jobs"]} != {""}
