"""Which package may import which (docs/architecture.md), and what is imported at start-up."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "uvlp"
FILES = sorted(PACKAGE.rglob("*.py"))
BELOW = ("core", "artifacts", "recipes")
ANSWERS = (*BELOW, "declarations", "tables", "models/published", "captioners/texts")
"""Packages that the command line and the pipeline may import; none of them computes."""
CHOSEN = ("captioners", "datasets", "launchers", "methods", "models", "networks", "protocols", "stages")
"""Packages whose files are loaded by a name that the user or a task gives."""
ALLOWED = {
    "core": (),
    "artifacts": ("core",),
    "networks": ("core",),
    "recipes": ("core", "artifacts"),
    "tables": ("core", "artifacts"),
    "declarations": (
        *BELOW,
        "networks/parts/names",
        "networks/parts/network_sizes",
        "networks/parts/timm_networks",
    ),
    "models": (*BELOW, "datasets/staging"),
    "methods": (*BELOW, "models", "networks", "protocols/training"),
    "datasets": (*BELOW, "captioners/texts", "models/published/hub"),
    "protocols": (*BELOW, "declarations", "models", "networks"),
    "captioners/texts": ("core", "artifacts"),
    "captioners": (*BELOW, "models"),
    "stages": (
        *(*BELOW, "declarations", "networks", "tables"),
        *("models", "methods", "datasets", "protocols", "captioners"),
    ),
    "launchers": (*BELOW, "declarations"),
    "pipeline": (*ANSWERS, "datasets/files", "datasets/staging"),
    "exchange": (*ANSWERS, "pipeline", "datasets/files"),
    "report": (
        *(*BELOW, "declarations", "tables"),
        *("methods/algorithms/alpha", "methods/algorithms/fusion"),
    ),
    "cli": (*ANSWERS, "pipeline", "exchange", "report"),
    "api": (*ANSWERS, "pipeline", "exchange", "report"),
    "__init__": ("api", "core/errors"),
    "__main__": ("core", "cli"),
}
"""Allowed imports by package, or by subfolder with its own rule: `captioners/texts` reads captions in other
formats, from image folders and imported files, and runs no captioner; the pipeline lists the images of the
user's folders by `datasets/files`, and opens none of them; a node of a cluster opens a dataset's archives
instead of the dataset; the report draws the objective of α, and is handed
an opened dataset."""
BY_NAME = {
    "stages": CHOSEN,
    "networks": ("networks",),
    "models": ("datasets",),
    "pipeline": (*CHOSEN, "pipeline/runs/trackers"),
}
"""Packages that a package may load with `plugins.load`: each fine-tuning process opens the dataset of its
job; `declarations` loads a given plug-in to read its declaration."""
PLUGINS = {"captioners", "datasets", "launchers", "methods", "networks", "protocols", "stages"}
LIGHT = (
    *("api/*", "cli/**/*", "exchange/**/*", "pipeline/**/*", "report/**/*"),
    *("declarations/*", "launchers/**/*", "recipes/*", "artifacts/**/*", "core/**/*"),
    "models/published/*",
    *("tables/table", "tables/notes", "tables/published"),
    *("captioners/texts/formats", "captioners/texts/match", "captioners/texts/imported"),
    *("methods/*", "protocols/*", "datasets/*", "stages/*"),
    *(f"protocols/training/{name}" for name in ("minimax_rules", "rded_rules", "rded_networks")),
)
"""Files that need no models, and so import no heavy library."""
COMPUTES = {"uvlp.core.square_roots"}
HEAVY = {
    "torch",
    "numpy",
    "sklearn",
    "PIL",
    "diffusers",
    "transformers",
    "open_clip",
    "scipy",
    "altair",
    "vl_convert",
}


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in FILES}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports; `from package import module` imports the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{name.name}" for name in node.names)
            yield from (name if name in MODULES else node.module for name in names)


def loads(path: Path) -> Iterator[tuple[str, str]]:
    """Yield package and name of every `plugins.load`; "" for a name known only at run time."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "load":
            match node.args:
                case [ast.Constant(value=str(room)), ast.Constant(value=str(name))]:
                    yield room, name
                case [ast.Constant(value=str(room)), _]:
                    yield room, ""


def inside(path: str, rooms: tuple[str, ...]) -> bool:
    return any(path == room or path.startswith(f"{room}/") for room in rooms)


def allowed(here: str) -> tuple[str, ...]:
    """Return what a file may import: the rule of its folder, or of its package."""
    folder = here.rpartition("/")[0]
    return ALLOWED.get(folder) or ALLOWED[here.split("/")[0]]


def arrows() -> Iterator[tuple[str, str]]:
    """Yield every import, or load by name, that `ALLOWED` does not allow."""
    for path in FILES:
        here = path.relative_to(PACKAGE).with_suffix("").as_posix()
        room = here.split("/")[0]
        for name in sorted(set(imports(path))):
            if not name.startswith("uvlp."):
                continue
            there = name.removeprefix("uvlp.").replace(".", "/")
            if there.split("/")[0] != room:
                if not inside(there, allowed(here)):
                    yield here, there
            elif room in PLUGINS and there.count("/") == 1 and MODULES[name].name != "__init__.py":
                yield here, there  # a plug-in, from its own package
        for target, name in sorted(set(loads(path))):
            there = f"{target}/{name or '*'}"
            # A constant name is equivalent to an import.
            if name and not inside(there, allowed(here)) or not name and target not in BY_NAME.get(room, ()):
                yield here, there


def test_imports_point_downwards() -> None:
    forbidden = sorted(set(arrows()))
    assert not forbidden, "\n".join(
        f"{here} may not import {there}: it may import " + (", ".join(allowed(here)) or "nothing")
        for here, there in forbidden
    )


def test_dynamic_imports_are_in_one_file() -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path in FILES
        if any(word in path.read_text(encoding="utf-8") for word in ("import_module", "__import__("))
    }
    assert users == {"core/plugins.py"}


def test_files_that_need_no_models_import_no_heavy_library() -> None:
    light = sorted({module(path) for each in LIGHT for path in PACKAGE.glob(f"{each}.py")} - COMPUTES)
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_help_imports_neither_the_pipeline_nor_artifacts() -> None:
    code = (
        "import sys, uvlp.cli.app\n"
        "print(sorted(name for name in sys.modules if name.startswith(('uvlp.pipeline', 'uvlp.artifacts'))))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_no_file_has_a_generic_name() -> None:
    assert not [path for path in FILES if path.stem in {"utils", "helpers", "common"}]


MARKERS = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}


def test_no_package_has_too_many_entries() -> None:
    """At most 16 entries besides plug-ins, `__init__.py` and `__pycache__`; 18 packages in `uvlp` itself."""
    full = []
    for folder in {PACKAGE, *(path.parent for path in FILES)}:
        entries = {path.name for path in folder.iterdir()} - MARKERS
        room = folder.relative_to(PACKAGE).as_posix()
        plugins = {name for name in entries if name.endswith(".py")} if room in PLUGINS else set()
        if len(entries - plugins) > (18 if room == "." else 16):
            full.append(f"{room}: {len(entries - plugins)}")
    assert not full


def test_only_one_file_imports_a_network_library() -> None:
    banned = {"requests", "urllib.request", "httpx", "socket"}
    users = {path.name for path in FILES if banned & set(imports(path))}
    assert users == {"download.py"}
