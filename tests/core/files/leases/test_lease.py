"""Leases: exclusive, renewed, taken over only after they did not change for long enough."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from uvlp.core.files.leases import lease
from uvlp.core.files.leases.host import Process, this_process


class Pretended:
    """A clock that only moves when somebody sleeps, or by hand."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def never(_: Process | None) -> None:
    raise AssertionError("it should not wait")


def foreign(path: Path, beats: int = 0, process: Process | None = None) -> None:
    """Write the lease of a process of another host."""
    holder = process or replace(this_process(), host="elsewhere")
    fields = ", ".join(f'"{name}": "{getattr(holder, name)}"' for name in ("host", "boot", "namespace"))
    numbers = f'"pid": {holder.pid}, "started": {holder.started}'
    path.write_text(f'{{"token": "{"0" * 16}", {fields}, {numbers}}}\n{beats:020}\n', encoding="utf-8")


def test_lease_is_exclusive_until_released(tmp_path: Path) -> None:
    path = tmp_path / "a.lease"
    held = lease.acquire(path, never)
    assert held.is_held and lease.create(path) is None
    token, process = lease.holder_of(lease.read(path)) or ("", None)
    assert token == held.token and process == this_process()
    held.release()
    assert list(tmp_path.iterdir()) == []
    lease.acquire(path, never).release()


def test_lease_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    path = tmp_path / "a.lease"
    held = lease.acquire(path, never)
    first, holder = lease.read(path), lease.holder_of(lease.read(path))
    until = time.monotonic() + 20
    while lease.read(path) == first and time.monotonic() < until:
        time.sleep(0.01)
    assert lease.read(path) != first and lease.holder_of(lease.read(path)) == holder
    held.release()


def test_dead_holder_of_this_host_costs_no_wait(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.lease", Pretended()
    foreign(path, process=replace(this_process(), started=this_process().started - 1))
    lease.acquire(path, never, clock, clock.sleep).release()
    assert clock.slept == 0


def test_unchanged_lease_of_another_host_ends_after_the_wait(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.lease", Pretended()
    foreign(path)
    waited: list[Process | None] = []
    held = lease.acquire(path, waited.append, clock, clock.sleep)
    assert lease.STALE_S <= clock.slept < lease.STALE_S + 2 * lease.LONGEST_STEP_S
    assert [each.host for each in waited if each] == ["elsewhere"]
    assert held.is_held and [each.name for each in tmp_path.iterdir()] == ["a.lease"]
    held.release()


def test_changing_lease_is_never_taken(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.lease", Pretended()
    foreign(path)
    watch = lease.Watch(clock)
    for beats in range(100):
        foreign(path, beats)
        assert not watch.has_ended(path)
        clock.now += lease.STALE_S / 2


def test_clock_that_jumps_ends_nothing(tmp_path: Path) -> None:
    """A holder that was not asked for a year, or whose observer was stopped, is not known to be dead."""
    path, clock = tmp_path / "a.lease", Pretended()
    foreign(path)
    watch = lease.Watch(clock)
    for jump in (0.0, 1e8, -2e8, 1e8):
        clock.now += jump
        assert not watch.has_ended(path)


@pytest.mark.parametrize("garbage", [b"", b"\0" * 100, b"{}", b'{"token": 1}\n', b"[" * 5000])
def test_garbage_ends_after_the_wait(tmp_path: Path, garbage: bytes) -> None:
    path, clock = tmp_path / "a.lease", Pretended()
    path.write_bytes(garbage)
    waited: list[Process | None] = []
    lease.acquire(path, waited.append, clock, clock.sleep).release()
    assert clock.slept >= lease.STALE_S and waited == [None]


def test_folder_in_place_of_a_lease_is_moved_and_kept(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.lease", Pretended()
    path.mkdir()
    (path / "mine").write_text("x", encoding="utf-8")
    lease.acquire(path, lambda _: None, clock, clock.sleep).release()
    assert len(list(tmp_path.glob("a.lease.*/mine"))) == 1


def test_holder_that_was_taken_over_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    path = tmp_path / "a.lease"
    stopped = lease.acquire(path, never)
    watch = lease.Watch()
    watch.has_ended(path)
    os.rename(path, tmp_path / "moved")
    successor = lease.acquire(path, never)
    time.sleep(0.1)  # both renew
    assert not stopped.is_held and successor.is_held
    stopped.release()
    token, _ = lease.holder_of(lease.read(path)) or ("", None)
    assert token == successor.token
    successor.release()


def test_lease_that_was_renewed_meanwhile_is_put_back(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.lease", Pretended()
    foreign(path)
    watch = lease.Watch(clock)
    watch.has_ended(path)
    foreign(path, beats=1)
    watch.take_away(path)
    assert lease.holder_of(lease.read(path)) and [each.name for each in tmp_path.iterdir()] == ["a.lease"]


def test_only_one_of_many_waiters_gets_a_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "POLL_S", 0.001)
    path, inside, most = tmp_path / "a.lease", 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            held = lease.acquire(path, lambda _: None)
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1
            held.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1 and list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        lease.acquire(tmp_path / "absent" / "a.lease", never)
