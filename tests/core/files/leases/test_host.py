"""Identity of processes: only one of this host, boot and namespace can be found dead."""

import os
import subprocess
import sys
from dataclasses import replace

from uvlp.core.files.leases.host import this_process


def test_this_process_is_here_and_alive() -> None:
    here = this_process()
    assert here.is_here and not here.is_known_dead
    assert here.pid == os.getpid() and here.started > 0


def test_dead_and_renumbered_processes_are_recognised() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert replace(this_process(), pid=ended.pid).is_known_dead
    assert replace(this_process(), started=this_process().started - 1).is_known_dead


def test_a_process_that_was_not_collected_is_dead() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # a zombie
    assert replace(this_process(), pid=child, started=0).is_known_dead
    os.waitpid(child, 0)


def test_nothing_is_known_about_other_hosts_boots_and_namespaces() -> None:
    dead = replace(this_process(), started=this_process().started - 1)
    for other in ({"host": "elsewhere"}, {"boot": "earlier"}, {"namespace": "pid:[1]"}):
        assert not replace(dead, **other).is_known_dead  # type: ignore[arg-type]
    assert not replace(dead, boot="", namespace="").is_known_dead
