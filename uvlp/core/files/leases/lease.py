"""A lease: a file that says which process makes something, renewed while that process lives.

It only avoids that work is done twice: nothing is correct because of it, and nothing is wrong if two
processes hold the same lease. It is created exclusively (`O_EXCL`); `flock` is not used, which some network
file systems grant to everybody. The holder overwrites a counter in its own open file, so that it never
touches the lease of a process that took over. Others watch the content: no time of a file and no clock of
another host matters.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from uvlp.core.files import json_files
from uvlp.core.files.leases.host import Process, this_process

BEAT_S = 5.0
"""Interval at which a holder renews its lease."""
STALE_S = 60.0
"""A lease that has not changed for so long has ended; a multiple of `BEAT_S`, for busy disks and networks."""
POLL_S = 0.25
LONGEST_STEP_S = 10.0
"""The most that counts between two looks: while a clock jumped or a server did not answer, nobody ended."""
LONGEST_BYTES = 4096
TOKEN_BYTES = 8


class Lease:
    """A lease that this process holds until :meth:`release`.

    Attributes:
        token: random name of this holder, also in the names of its temporary folders.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.token = new_token()
        self._path, self._descriptor, self._beats = path, descriptor, 0
        owner = json.dumps({"token": self.token, **asdict(this_process())})
        self._head = f"{owner}\n".encode()
        self._write(self._head + self._counter(), 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {path.name}", daemon=True)
        self._thread.start()

    @property
    def is_held(self) -> bool:
        """Whether no other process has taken over, e.g. while this one was stopped."""
        try:
            here, own = os.stat(self._path), os.fstat(self._descriptor)
        except OSError:
            return False
        return (here.st_dev, here.st_ino) == (own.st_dev, own.st_ino)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """End the lease; one that another process took over stays."""
        self._ended.set()
        self._thread.join()
        if self.is_held:
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)

    def _counter(self) -> bytes:
        return f"{self._beats:020}\n".encode()

    def _write(self, content: bytes, offset: int) -> None:
        os.pwrite(self._descriptor, content, offset)
        os.fsync(self._descriptor)

    def _renew(self) -> None:
        while not self._ended.wait(BEAT_S):
            self._beats += 1
            # A disk that is full or does not answer may do so later.
            with contextlib.suppress(OSError):
                self._write(self._counter(), len(self._head))


class Watch:
    """Judges by this process's own monotonic clock whether the holder of a lease has ended.

    Attributes:
        content: of the lease at the last look; None: there was none.
        unchanged_s: for how long it has been seen with this content, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.content: bytes | None = None
        self.unchanged_s, self._looked_at = 0.0, clock()

    def has_ended(self, path: Path) -> bool:
        """Look again: return whether its holder died on this host, or it has been unchanged for too long."""
        now = self._clock()  # before reading: this process may be stopped in between
        content = read(path)
        if content != self.content:
            self.content, self.unchanged_s, now = content, 0.0, self._clock()
        else:
            self.unchanged_s += max(0.0, min(now - self._looked_at, LONGEST_STEP_S))
        self._looked_at = now
        holder = holder_of(content)
        return self.unchanged_s >= STALE_S or bool(holder and holder[1].is_known_dead)

    def take_away(self, path: Path) -> None:
        """Remove the lease that has ended, unless it is another one by now.

        Raises:
            OSError: it cannot be renamed.
        """
        aside = path.with_name(f"{path.name}.{new_token()}")
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return
        if read(aside) != self.content and not os.path.lexists(path):
            os.rename(aside, path)  # renewed or taken over in the meantime: put back
        with contextlib.suppress(OSError):
            aside.unlink()


def read(path: Path) -> bytes | None:
    """Return the content of a lease; None without one, b"" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_BYTES)
    except FileNotFoundError:
        return None
    except OSError:
        return b""


def holder_of(content: bytes | None) -> tuple[str, Process] | None:
    """Return token and process of the holder of a lease; None if its content is not that of a lease."""
    try:
        owner = json_files.parse((content or b"").partition(b"\n")[0])
        token = owner.pop("token")
        return (token, json_files.build(Process, owner)) if isinstance(token, str) else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def create(path: Path) -> Lease | None:
    """Create the lease; None if there is one.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return None
    try:
        return Lease(path, descriptor)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def acquire(
    path: Path,
    waits: Callable[[Process | None], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease:
    """Return the lease, after waiting until its holder has released it or ended.

    Args:
        path: the file of the lease; its folder exists.
        waits: called once, before waiting, with the holder; None if the file is not that of a lease.
        clock, sleep: monotonic clock and sleep of this process, in seconds.

    Raises:
        OSError: the folder cannot be written.
    """
    watch, waited = Watch(clock), False
    while (lease := create(path)) is None:
        if watch.has_ended(path):
            watch.take_away(path)
            continue
        holder = holder_of(watch.content)
        # A lease that is being created has no content yet, one that was just released is no file.
        if not waited and (holder or watch.unchanged_s):
            waits(holder[1] if holder else None)
            waited = True
        sleep(POLL_S)
    return lease


def new_token() -> str:
    """Return a random name, unique among all processes of all hosts."""
    return os.urandom(TOKEN_BYTES).hex()
