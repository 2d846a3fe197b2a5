"""What a worker prints on standard error, line by line: warnings of libraries, the last words of a crash."""

from __future__ import annotations

import contextlib
import os
import re

from uvlp.core.display import messages

AT_ONCE = 65_536
ENDS = re.compile(rb"[\r\n]+")
"""Progress bars of libraries end lines with a carriage return."""


class Output:
    """The reading end of a worker's standard error.

    Args:
        pipe: its descriptor.

    Attributes:
        ended: nothing more comes.
    """

    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self.pipe, self._rest = pipe, b""
        self.ended = False

    def read(self) -> None:
        """Report the lines that are there, without waiting for others."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.pipe, AT_ONCE):
                *lines, self._rest = ENDS.split(self._rest + chunk)
                _report(lines)
            self.ended = True

    def close(self) -> None:
        """Report what is left; processes that the worker started may still hold the other end."""
        self.read()
        _report([self._rest])
        os.close(self.pipe)


def _report(lines: list[bytes]) -> None:
    for line in lines:
        if line.strip():
            messages.report("worker", line.decode("utf-8", errors="replace"))
