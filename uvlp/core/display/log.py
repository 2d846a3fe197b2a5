"""The log of a command: every message with its time, in memory until there is a place for a file."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO

from uvlp.core.display import messages
from uvlp.core.files.lines import split_lines
from uvlp.core.wording import byte_size, cut, duration

EARLIER = 1000
"""Lines from before there was a file that are kept."""
LONGEST_LINE, LARGEST_BYTES = 20_000, 20_000_000
_current: ContextVar[Log | None] = ContextVar("_current", default=None)


class Log:
    """The messages of one command.

    Attributes:
        path: the file; None if there is none.
    """

    def __init__(self) -> None:
        self.path: Path | None = None
        self._began = time.monotonic()
        self._earlier: deque[str] | None = deque(maxlen=EARLIER)
        self._file: TextIO | None = None
        self._bytes = 0

    def record(self, kind: str, text: str) -> None:
        """Add a message, with the time in UTC."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        first, *others = split_lines(cut(text, LONGEST_LINE)) or [""]
        lines = [f"{moment}Z {kind:<{messages.KIND}} {first}", *(f"    {line}" for line in others)]
        block = "".join(f"{line}\n" for line in lines)
        if self._earlier is None:
            self._write(block)
        else:
            self._earlier.append(block)

    @property
    def opened(self) -> bool:
        """Whether a file was asked for."""
        return self._earlier is None

    def open_in(self, folder: Path, new_name: Callable[[], str], heading: Iterable[str]) -> None:
        """Write a file from now on; one that cannot be written is reported once, and the work goes on.

        Args:
            folder: for the file; its parent exists.
            new_name: returns a name; another one if another process has just taken it.
            heading: its first lines.
        """
        earlier, self._earlier = self._earlier or (), None
        try:
            folder.mkdir(exist_ok=True)
            self._file, self.path = _new_file(folder, new_name)
        except OSError as error:
            _report(error, folder)
            return
        for line in heading:
            self._write(f"{line}\n")
        for block in earlier:
            self._write(block)

    def close(self) -> None:
        """End the file."""
        self._write(f"ended after {duration(time.monotonic() - self._began)}\n")
        self._end()

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        self._bytes += len(text.encode())
        if self._bytes > LARGEST_BYTES:
            text = f"the log ends here, at {byte_size(LARGEST_BYTES)}\n"
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            _report(error, self.path)
            self._end()
        if self._bytes > LARGEST_BYTES:
            self._end()

    def _end(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None


@contextlib.contextmanager
def kept() -> Iterator[Log]:
    """Collect the messages of the block in a log."""
    log = Log()
    token = _current.set(log)
    try:
        with messages.recorded_by(log.record):
            yield log
    finally:
        _current.reset(token)
        log.close()


def current() -> Log | None:
    """Return the log of this command; None if none is kept."""
    return _current.get()


def _report(error: OSError, path: Path | None) -> None:
    messages.display("note", f"the log of this run cannot be written: {error.strerror}: {path}")


def _new_file(folder: Path, new_name: Callable[[], str]) -> tuple[TextIO, Path]:
    while True:
        path = folder / new_name()
        with contextlib.suppress(FileExistsError):
            return path.open("x", encoding="utf-8", errors="backslashreplace"), path
