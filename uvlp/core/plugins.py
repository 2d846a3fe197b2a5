"""Where plug-ins are found, and the only dynamic imports.

A plug-in is a file of a room, ``uvlp/methods/NAME.py``; file name = name on the command line (``-`` for
``_``) = row of a table. An installed package adds one by an entry point in the group ``uvlp.methods``.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import linecache
import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType, TracebackType

from uvlp.core.errors import UvlpError, unknown_name

PACKAGE = Path(__file__).resolve().parent.parent
SINGULAR = {
    "methods": "method",
    "datasets": "dataset",
    "networks": "network",
    "protocols": "protocol",
    "captioners": "captioner",
    "stages": "stage",
    "models": "model",
    "models/finetuning": "model",
    "models/sampling": "model",
    "protocols/training": "model",
}
OPEN = ("methods", "datasets", "networks", "protocols", "captioners")
"""Rooms that other packages may add to."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A plug-in and where it comes from.

    Attributes:
        room: of the package, e.g. ``"methods"``.
        name: on the command line, with ``-``.
        module: dotted name.
        package: name and version of the distribution that brings it; empty: it is ours.
    """

    room: str
    name: str
    module: str
    package: str = ""

    @property
    def kind(self) -> str:
        """What it is, for readers."""
        return SINGULAR[self.room]

    @property
    def file(self) -> str:
        """Its file, for readers."""
        path = f"{self.module.replace('.', '/')}.py"
        return f"{path} ({self.package})" if self.package else path


def names(room: str) -> list[str]:
    """Names of the plug-ins of a room, without importing any of them.

    Raises:
        UvlpError: two have one name, or one has a name that cannot be.
    """
    return sorted(_found(room))


def find(room: str, name: str) -> Origin:
    """The plug-in of that name; ``-`` and ``_`` are the same.

    Raises:
        UvlpError: there is none, and the nearest name is offered; or see `names`.
    """
    found, wanted = _found(room), name.replace("_", "-")
    if wanted not in found:
        raise unknown_name(SINGULAR[room], name, found)
    return found[wanted]


def load(room: str, name: str) -> ModuleType:
    """Import one plug-in.

    Raises:
        UvlpError: there is none of that name; or, in a room that others add to, it cannot be imported.
    """
    origin = find(room, name)
    if room not in OPEN:
        return importlib.import_module(origin.module)
    try:
        return importlib.import_module(origin.module)
    except UvlpError:
        raise
    except Exception as error:
        raise _not_imported(origin, error) from error


def source(origin: Origin) -> Path:
    """The file of a plug-in; of another package's only what is above it is imported.

    Raises:
        UvlpError: there is no such file.
    """
    if not origin.package:
        return PACKAGE.parent / f"{origin.module.replace('.', '/')}.py"
    try:
        spec = importlib.util.find_spec(origin.module)
    except Exception as error:  # of a package above it, which may be anything
        raise _not_imported(origin, error) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        allowed = f"a module of {origin.package}, as its entry point says"
        raise UvlpError(f"{origin.file}: no such file", got=origin.module, allowed=allowed)
    return Path(spec.origin)


def _not_imported(origin: Origin, error: Exception) -> UvlpError:
    if isinstance(error, SyntaxError):
        return UvlpError(f"{origin.file}, line {error.lineno}: {error.msg}", got=(error.text or "").strip())
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    return UvlpError(f"{origin.file} cannot be imported ({place})", got=f"{type(error).__name__}: {error}")


def blamed(error: Exception) -> str:
    """One line about an error that nobody expected, with the plug-in's line that led to it, if one did."""
    what = f"{type(error).__name__}: {error}".replace("\n", " ")
    frame = _last_frame(error)
    return what if frame is None else f"{_file(frame)}, line {frame.tb_lineno}: {what}"


def last_line(error: Exception) -> str:
    """What to show below the traceback of an error: the plug-in's line, where others stand below it."""
    frame = _last_frame(error)
    if frame is None or frame.tb_next is None:
        return ""
    code = linecache.getline(frame.tb_frame.f_code.co_filename, frame.tb_lineno).strip()
    return f"  from {_file(frame)}, line {frame.tb_lineno}, in {frame.tb_frame.f_code.co_name}\n    {code}\n"


def _last_frame(error: Exception) -> TracebackType | None:
    """The innermost frame of an error that lies in a plug-in, or in the package of one."""
    packages: set[str] = set()
    with contextlib.suppress(UvlpError):  # one that is wrong is told of elsewhere
        packages = {origin.module.split(".")[0] for room in OPEN for origin in _entry_points(room)}
    found, frame = None, error.__traceback__
    while frame is not None:
        module = _module(frame).split(".")
        ours = len(module) == 3 and module[0] == PACKAGE.name and module[1] in OPEN
        found, frame = frame if ours or module[0] in packages else found, frame.tb_next
    return found


def _module(frame: TracebackType) -> str:
    return str(frame.tb_frame.f_globals.get("__name__", ""))


def _file(frame: TracebackType) -> str:
    return f"{_module(frame).replace('.', '/')}.py"


def _found(room: str) -> dict[str, Origin]:
    found = dict(_ours(room))
    for other in _entry_points(room) if room in OPEN else ():
        if other.name in found:
            raise UvlpError(
                f"two {room} are called {other.name}",
                got=f"{found[other.name].file} and {other.file}",
                fix="rename the entry point of one, or do without its package",
            )
        found[other.name] = other
    return found


def _ours(room: str) -> Iterator[tuple[str, Origin]]:
    for file in sorted((PACKAGE / room).glob("*.py")):
        if not file.stem.startswith("_"):
            module = f"uvlp.{room.replace('/', '.')}.{file.stem}"
            yield (origin := _origin(room, file.stem, module)).name, origin


@cache
def _entry_points(room: str) -> tuple[Origin, ...]:
    """What other packages add, in the order of their names."""
    from importlib.metadata import entry_points

    found = []
    for point in entry_points(group=f"uvlp.{room}"):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"
        origin = _origin(room, point.name, point.module, package)
        if point.attr:
            fix = f"write {point.name} = {point.module}"
            raise UvlpError(f"an entry point of {package} names no module", got=point.value, fix=fix)
        found.append(origin)
    return tuple(sorted(found, key=lambda origin: (origin.name, origin.package)))


def _origin(room: str, name: str, module: str, package: str = "") -> Origin:
    origin = Origin(room=room, name=name.replace("_", "-"), module=module, package=package)
    if not NAME.fullmatch(origin.name):
        allowed = "lower-case letters, digits, and - or _ between them"
        raise UvlpError(f"{origin.file}: name of a {origin.kind}", got=name, allowed=allowed)
    return origin


@cache
def revision(path: str) -> int:
    """`REVISION` in ``uvlp/<path>.py``, read from the source so that no model library is imported."""
    text = (PACKAGE / f"{path}.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="REVISION")], value=ast.Constant(value=int(number))):
                return number
    raise AssertionError(f"{path} declares no REVISION")
