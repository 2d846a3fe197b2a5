"""The files of a journal. That they cannot be written does not stop a run; it is reported once."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from uvlp.core.display import messages
from uvlp.core.errors import Detached, UvlpError, WorkerFailed
from uvlp.core.files.writing import write_utf8
from uvlp.core.wording import cut
from uvlp.pipeline.runs import files
from uvlp.pipeline.runs.files import Happening, Header, Job, What

LONGEST_TEXT = 1000


class Record:
    """The files of a journal.

    Args:
        folder: for the files; it is created.
        jobs: of the run.
        header: of the run.
    """

    def __init__(self, folder: Path, jobs: Sequence[Job], header: Header) -> None:
        self._folder, self._began, self._writable = folder, header.monotonic_s, True
        self.replace(files.HEADER, asdict(header))
        self.replace(files.JOBS, [asdict(job) for job in jobs])

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return round(time.monotonic() - self._began, 3)

    def add(self, what: What, job: int = -1, seconds: float = 0.0, text: str = "") -> None:
        """Add an event; see `Happening`."""
        happening = Happening(
            t=self.elapsed_s, what=what, job=job, seconds=round(seconds, 3), text=cut(text, LONGEST_TEXT)
        )
        values = {name: value for name, value in asdict(happening).items() if value or name in ("t", "job")}
        self._write(files.EVENTS, _json(values), append=True)

    def replace(self, name: str, values: object) -> None:
        """Replace a file of JSON values."""
        self._write(name, _json(values))

    def replace_text(self, name: str, text: str) -> None:
        """Replace a file of text."""
        self._write(name, text)

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Record how the block ends."""
        try:
            yield
        except (UvlpError, WorkerFailed) as error:
            left = isinstance(error, Detached) or getattr(error, "exit_code", 1) == 130
            self.add("stopped" if left else "broken", text=str(error))
            raise
        except BaseException as error:
            self.add("stopped" if isinstance(error, KeyboardInterrupt) else "broken", text=repr(error))
            raise
        else:
            self.add("finished")

    def _write(self, name: str, text: str, *, append: bool = False) -> None:
        """Write a file, unless an earlier one could not be written; report the first error."""
        if not self._writable:
            return
        try:
            if append:
                with (self._folder / name).open("a", encoding="utf-8") as file:
                    file.write(text)
            else:
                write_utf8(self._folder / name, text, flushed=False)
        except OSError as error:
            self._writable = False
            text = f"the journal for `uvlp status` cannot be written: {error.strerror}: {self._folder}"
            messages.note(text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
