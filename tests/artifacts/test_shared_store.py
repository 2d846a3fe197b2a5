"""Two users of one group share a store: one builds artifacts, the other reads, rebuilds and deletes them."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USERS, GROUP = (1001, 1002), 2000
PROGRAM = """
import os, sys, traceback
from pathlib import Path
import numpy, safetensors.numpy as weights
from uvlp.artifacts.task import Task
from uvlp.artifacts.store import Store

ROOT = Path(sys.argv[1])

def make(store, task):
    with store.making(task, print) as folder:
        if folder is None:
            return "there"
        (folder / "train").mkdir()
        weights.save_file({"a": numpy.ones(3)}, folder / "train" / "model.safetensors")
        store.commit(task, folder, {})
    return "made"

def first():
    store = Store(ROOT)
    store.prepare()
    assert make(store, Task(kind="weights", stage="finetune")) == "made"
    store.damage(Task(kind="weights", stage="finetune"))
    store.save_verified()

def second():
    store, task = Store(ROOT), Task(kind="weights", stage="finetune")
    store.prepare()
    assert store.damage(task) is None
    assert make(store, task) == "there"
    assert weights.load_file(store.folder(task) / "train" / "model.safetensors")
    store.save_verified()
    store.remove(task)
    assert make(store, task) == "made"
    assert make(store, Task(kind="weights", stage="embed")) == "made"

def as_user(user, work):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([int(sys.argv[2])])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o002)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0, user

as_user(int(sys.argv[3]), first)
as_user(int(sys.argv[4]), second)
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A setgid folder of the group; the tests' own temporary folder is private."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, 0, GROUP)
    folder.chmod(0o2775)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become other users; CI is root")
def test_two_users_share_a_store(shared: Path) -> None:
    arguments = [sys.executable, "-c", PROGRAM, str(shared / "store"), str(GROUP), *map(str, USERS)]
    done = subprocess.run(arguments, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    for path in (shared / "store").rglob("*"):
        status = path.stat()
        assert status.st_gid == GROUP, path
        assert status.st_mode & 0o777 == (0o775 if path.is_dir() else 0o664), path
