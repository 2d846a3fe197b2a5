"""The exception that is meant for users, and errors that several packages raise."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from uvlp.core.wording import cut

LONGEST = 1_000
"""Characters of an input that an error message shows: a file may be one line of a megabyte."""


class UvlpError(Exception):
    """An error in the request, the input or the machine: one line, exit code 2.

    The line states what is wrong, what was given, what is allowed and how to fix it.
    Any other exception is a defect of UVLP and ends with exit code 1.

    Args:
        what: what is wrong, e.g. ``"unknown method"``.
        got: the offending value, shown verbatim; a long one is cut in its middle.
        allowed: the accepted values or range.
        fix: the next step for the user.
    """

    exit_code = 2
    details = ""
    """The traceback of the worker that raised it, shown with ``--debug``."""

    def __init__(
        self, what: str, *, got: object = None, allowed: str | None = None, fix: str | None = None
    ) -> None:
        self.what, self.got, self.allowed, self.fix = what, got, allowed, fix
        what = cut(what, LONGEST)
        parts = [what if got is None else f"{what}: got {cut(repr(got), LONGEST)}"]
        if allowed:
            parts.append(f"allowed: {allowed}")
        if fix:
            parts.append(fix)
        super().__init__("; ".join(part.replace("\n", " ") for part in parts))

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross from worker processes to the main one by pickling.
        return _rebuild, (type(self), self.what, self.got, self.allowed, self.fix)


def _rebuild(
    kind: type[UvlpError], what: str, got: object, allowed: str | None, fix: str | None
) -> UvlpError:
    return kind(what, got=got, allowed=allowed, fix=fix)


class MissingFile(UvlpError):
    """A file that the user has to provide is not here yet: the dry run lists it and continues."""


class Stopped(UvlpError):
    """A process of the run received SIGINT or SIGTERM: exit code 130, as for a signal to the run itself."""

    exit_code = 130


class Detached(UvlpError):
    """The jobs of the run go on without this process, as requested: exit code 0."""

    exit_code = 0


class WorkerFailed(Exception):
    """A stage raised an unexpected exception, or its process died: exit code 1.

    Args:
        text: one line.
        details: the traceback of the worker, shown with ``--debug``.
    """

    def __init__(self, text: str, details: str) -> None:
        super().__init__(text, details)
        self.text, self.details = text, details

    def __str__(self) -> str:
        return self.text


def unknown_name(kind: str, got: str, names: Iterable[str]) -> UvlpError:
    """Return the error for a name that is not in ``names``; it suggests the nearest one."""
    known = sorted(names)
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else None
    return UvlpError(f"unknown {kind}", got=got, allowed=", ".join(known), fix=fix)


def wrong_return(file: str, function: str, wanted: str, got: object) -> UvlpError:
    """Return the error for a wrong return value of a plug-in's function.

    Args:
        wanted: description of what it must return.
        got: what it returned.
    """
    return UvlpError(f"{file}: {function} must return {wanted}", got=got)


def too_few_images(count: int, least: int) -> UvlpError:
    """Return the error for a class with ``count`` images where ``least`` are needed."""
    return UvlpError(
        "too few images in a class", got=count, allowed=f"at least {least}", fix="lower the IPC or add images"
    )


def too_few_for_a_fit(count: int, least: int) -> UvlpError:
    """Return the error for a class with less than one batch of images where a partial batch is dropped."""
    return UvlpError(
        "too few images in a class after dropping its last partial batch",
        got=count,
        allowed=f"at least {least}",
        fix="lower km_expand or flush every class",
    )
