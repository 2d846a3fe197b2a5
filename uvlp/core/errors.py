"""The one exception that a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from uvlp.core.wording import cut

LONGEST = 1_000
"""Characters of an input that a line shows: somebody's file may be one line of a megabyte."""


class UvlpError(Exception):
    """The request, the input or the machine is wrong: one line, exit code 2.

    The line says what was wrong, what was got, what is allowed and what to do.
    Anything else that is raised is a defect of ours and ends with exit code 1.

    Args:
        what: the thing that is wrong, e.g. ``"unknown method"``.
        got: the offending value, shown verbatim; a long one is cut in its middle.
        allowed: the accepted values or range, in words.
        fix: the next step for the reader.
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
        return _rebuild, (self.what, self.got, self.allowed, self.fix)


def _rebuild(what: str, got: object, allowed: str | None, fix: str | None) -> UvlpError:
    return UvlpError(what, got=got, allowed=allowed, fix=fix)


class Stopped(UvlpError):
    """Somebody asked a process of the run to end: exit code 130, as where the run itself is asked."""

    exit_code = 130


class WorkerFailed(Exception):
    """A stage raised something that is not the user's fault, or its process died: exit code 1.

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
    """The error for a name that is not in ``names``, with the nearest one offered."""
    known = sorted(names)
    near = difflib.get_close_matches(got, known, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else None
    return UvlpError(f"unknown {kind}", got=got, allowed=", ".join(known), fix=fix)


def wrong_return(file: str, function: str, wanted: str, got: object) -> UvlpError:
    """The error for what a function of a plug-in's file returned.

    Args:
        wanted: what it must return.
        got: what it did return.
    """
    return UvlpError(f"{file}: {function} must return {wanted}", got=got)


def too_few_images(count: int, least: int) -> UvlpError:
    """The error for a class with ``count`` images where ``least`` are needed."""
    return UvlpError(
        "images in a class", got=count, allowed=f"at least {least}", fix="lower the IPC or add images"
    )


def too_few_for_a_fit(count: int, least: int) -> UvlpError:
    """The error for a class whose ``count`` images fill no batch, where an unfilled one is dropped."""
    return UvlpError(
        "images in a class without its last partial batch",
        got=count,
        allowed=f"at least {least}",
        fix="lower km_expand or flush every class",
    )
