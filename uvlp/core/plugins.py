"""Discovery of plug-ins, and the only dynamic imports.

A plug-in is one file, e.g. ``uvlp/methods/NAME.py``; file name = name on the command line (``-`` for
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
from dataclasses import dataclass, is_dataclass
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
    "launchers": "launcher",
    "stages": "stage",
    "pipeline/runs/trackers": "tracker",
    "models": "model",
    "models/finetuning": "model",
    "models/sampling": "model",
    "protocols/training": "model",
}
OPEN = ("methods", "datasets", "networks", "protocols", "captioners", "launchers")
"""Groups that other packages may add to."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A plug-in and its origin.

    Attributes:
        group: sub-package of uvlp, e.g. ``"methods"``.
        name: name on the command line, with ``-``.
        module: dotted module name.
        package: name and version of the distribution that provides it; empty for UVLP itself.
    """

    group: str
    name: str
    module: str
    package: str = ""

    @property
    def kind(self) -> str:
        """What kind of plug-in it is, for messages."""
        return SINGULAR[self.group]

    @property
    def file(self) -> str:
        """Its file, for messages."""
        path = f"{self.module.replace('.', '/')}.py"
        return f"{path} ({self.package})" if self.package else path


def names(group: str) -> list[str]:
    """Return the names of the plug-ins of a group, without importing any of them.

    Raises:
        UvlpError: two share a name, or a name is invalid.
    """
    return sorted(_origins(group))


def find(group: str, name: str) -> Origin:
    """Return the plug-in of that name; ``-`` and ``_`` are equivalent.

    Raises:
        UvlpError: there is none (the nearest name is suggested), or see `names`.
    """
    origins, wanted = _origins(group), name.replace("_", "-")
    if wanted not in origins:
        raise unknown_name(SINGULAR[group], name, origins)
    return origins[wanted]


def load(group: str, name: str) -> ModuleType:
    """Import one plug-in.

    Raises:
        UvlpError: there is none of that name; or, in a group of `OPEN`, it cannot be imported.
    """
    origin = find(group, name)
    if group not in OPEN:
        return importlib.import_module(origin.module)
    try:
        return importlib.import_module(origin.module)
    except UvlpError:
        raise
    except Exception as error:
        raise _not_imported(origin, error) from error


def source(origin: Origin) -> Path:
    """Return the file of a plug-in; of another package's plug-in only its parent packages are imported.

    Raises:
        UvlpError: there is no such file.
    """
    if not origin.package:
        return PACKAGE.parent / f"{origin.module.replace('.', '/')}.py"
    try:
        spec = importlib.util.find_spec(origin.module)
    except Exception as error:  # a parent package may raise anything
        raise _not_imported(origin, error) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        allowed = f"a module of {origin.package}, as its entry point declares"
        raise UvlpError(f"{origin.file}: no such file", got=origin.module, allowed=allowed)
    return Path(spec.origin)


def _not_imported(origin: Origin, error: Exception) -> UvlpError:
    if isinstance(error, SyntaxError):
        return UvlpError(f"{origin.file}, line {error.lineno}: {error.msg}", got=(error.text or "").strip())
    last = traceback.extract_tb(error.__traceback__)[-1]
    location = f"{Path(last.filename).name}, line {last.lineno}"
    return UvlpError(f"{origin.file} cannot be imported ({location})", got=f"{type(error).__name__}: {error}")


def describe_error(error: Exception) -> str:
    """Describe an unexpected error in one line, with the plug-in's line that led to it, if any."""
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    frame = _last_frame(error)
    return text if frame is None else f"{_file(frame)}, line {frame.tb_lineno}: {text}"


def plugin_line(error: Exception) -> str:
    """Return the plug-in's line, to be shown below the traceback if that ends in other code; else ""."""
    frame = _last_frame(error)
    if frame is None or frame.tb_next is None:
        return ""
    code = linecache.getline(frame.tb_frame.f_code.co_filename, frame.tb_lineno).strip()
    return f"  from {_file(frame)}, line {frame.tb_lineno}, in {frame.tb_frame.f_code.co_name}\n    {code}\n"


def _last_frame(error: Exception) -> TracebackType | None:
    """Return the innermost frame of an error that lies in a plug-in, or in the package of one."""
    packages: set[str] = set()
    with contextlib.suppress(UvlpError):  # a wrong one is reported elsewhere
        packages = _other_packages()
    innermost, frame = None, error.__traceback__
    while frame is not None:
        module = _module(frame).split(".")
        ours = len(module) == 3 and module[0] == PACKAGE.name and module[1] in OPEN
        innermost, frame = frame if ours or module[0] in packages else innermost, frame.tb_next
    return innermost


def _other_packages() -> set[str]:
    """Return the top-level packages that provide plug-ins."""
    return {origin.module.split(".")[0] for group in OPEN for origin in _entry_points(group)}


def dataclass_of(name: str) -> type:
    """Import a dataclass, ``"MODULE:NAME"``, of UVLP or of a package with plug-ins.

    Raises:
        ValueError: there is none of that name there.
    """
    module, _, attribute = name.partition(":")
    if module.split(".")[0] not in {PACKAGE.name, *_other_packages()}:
        raise ValueError(f"a class of {module[:80]}, which has no plug-ins")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a module of another package may raise anything
        raise ValueError(f"no class {name[:80]}: {type(error).__name__}") from error
    if not isinstance(found, type) or not is_dataclass(found):
        raise ValueError(f"{name[:80]} is no dataclass")
    return found


def _module(frame: TracebackType) -> str:
    return str(frame.tb_frame.f_globals.get("__name__", ""))


def _file(frame: TracebackType) -> str:
    return f"{_module(frame).replace('.', '/')}.py"


def _origins(group: str) -> dict[str, Origin]:
    origins = dict(_built_in(group))
    for other in _entry_points(group) if group in OPEN else ():
        if other.name in origins:
            raise UvlpError(
                f"two {group} are called {other.name}",
                got=f"{origins[other.name].file} and {other.file}",
                fix="rename one of the entry points, or uninstall its package",
            )
        origins[other.name] = other
    return origins


def _built_in(group: str) -> Iterator[tuple[str, Origin]]:
    for file in sorted((PACKAGE / group).glob("*.py")):
        if not file.stem.startswith("_"):
            module = f"uvlp.{group.replace('/', '.')}.{file.stem}"
            yield (origin := _origin(group, file.stem, module)).name, origin


@cache
def _entry_points(group: str) -> tuple[Origin, ...]:
    """Return the plug-ins of other packages, sorted by name."""
    from importlib.metadata import entry_points

    origins = []
    for point in entry_points(group=f"uvlp.{group}"):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"
        origin = _origin(group, point.name, point.module, package)
        if point.attr:
            fix = f"write {point.name} = {point.module}"
            raise UvlpError(f"an entry point of {package} names no module", got=point.value, fix=fix)
        origins.append(origin)
    return tuple(sorted(origins, key=lambda origin: (origin.name, origin.package)))


def _origin(group: str, name: str, module: str, package: str = "") -> Origin:
    origin = Origin(group=group, name=name.replace("_", "-"), module=module, package=package)
    if not NAME.fullmatch(origin.name):
        allowed = "lower-case letters, digits, and - or _ between them"
        raise UvlpError(f"{origin.file}: invalid name of a {origin.kind}", got=name, allowed=allowed)
    return origin


@cache
def revision(path: str) -> int:
    """Return `REVISION` of ``uvlp/<path>.py``, read from the source so that no model library is imported."""
    text = (PACKAGE / f"{path}.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="REVISION")], value=ast.Constant(value=int(number))):
                return number
    raise AssertionError(f"{path} declares no REVISION")
