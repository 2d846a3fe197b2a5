"""Changes that affect the tree of a definition, changes that do not, and the references of a definition."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pins.sources import Definition, Module, Package
from tests.pins.trees import Loaded, Tree, tree

HERE = Definition("uvlp.here", "f")
FILES = {
    "core/plugins.py": "def load(room, name): ...\ndef names(room): ...\n",
    "methods/draws.py": "from uvlp.methods.other import again\ndef draw(): ...\ndef loss(): ...\n",
    "methods/other.py": "def again(): ...\n",
}


@pytest.fixture
def of(tmp_path: Path) -> object:
    """Return a function that reads the tree of ``f`` in a file with given source."""

    def read(source: str) -> Tree:
        package = write(tmp_path, FILES | {"here.py": source})
        return tree(package, HERE)

    return read


def write(folder: Path, files: Mapping[str, str]) -> Package:
    for name, text in files.items():
        path = folder / "uvlp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Package(folder / "uvlp")


SAME = [
    ('def f(x):\n    """Words."""\n    return x  # why\n', "def f(x):\n    return x\n"),
    ("def f(x: int = 3) -> int:\n    y: int = x\n    return y\n", "def f(x=3):\n    y = x\n    return y\n"),
    (
        'def f(x):\n    if x < 3:\n        raise ValueError(f"{x} is small")\n',
        'def f(x):\n    if x < 3:\n        raise ValueError("less than 3", x)\n',
    ),
    (
        "from uvlp.methods import draws\ndef f(): return draws.draw()\n",
        "def f():\n    from uvlp.methods.draws import draw as cutmix\n    return cutmix()\n",
    ),
    (
        'from uvlp.core import plugins\ndef f(): return plugins.load("methods", "draws").draw()\n',
        "from uvlp.methods.draws import draw\ndef f(): return draw()\n",
    ),
    (
        'from uvlp.core import plugins\ndef f(name): return plugins.load("methods", name).draw()\n',
        'from uvlp.core.plugins import load\ndef f(name): return load("moved", name).draw()\n',
    ),
    (
        "from uvlp.methods.draws import again\ndef f(): return again()\n",
        "from uvlp.methods.other import again\ndef f(): return again()\n",
    ),
]
OTHER = [
    ("def f(x=3): return x\n", "def f(x=4): return x\n"),
    ("def f(x): return x + 1\n", "def f(x): return x + 2\n"),
    ("def f(x): return x + 1\n", "def f(x): return x + 1.0\n"),
    ('def f(x): return "a"\n', "def f(x): return b'a'\n"),
    ("class f:\n    a: int = 1\n", "class f:\n    a: float = 1\n"),
    ("def f(x):\n    raise ValueError(x)\n", "def f(x):\n    raise KeyError(x)\n"),
    (
        "from uvlp.methods import draws\ndef f(): return draws.draw()\n",
        "from uvlp.methods import draws\ndef f(): return draws.loss()\n",
    ),
    (
        'from uvlp.core import plugins\ndef f(a, b): return plugins.load("methods", a).draw()\n',
        'from uvlp.core import plugins\ndef f(a, b): return plugins.load("methods", b).draw()\n',
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_docstrings_imports_and_annotations_are_ignored(of, one: str, other: str) -> None:
    assert of(one).text == of(other).text


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_all_other_changes_affect_the_tree(of, one: str, other: str) -> None:
    assert of(one).text != of(other).text


DRAWS = Module("uvlp.methods.draws")
DRAW = Definition("uvlp.methods.draws", "draw")
NAMED = [
    # An argument shadows an import, and so does a variable, within its scope.
    ("from uvlp.methods.draws import draw\ndef f(draw): return draw()\n", set()),
    ("from uvlp.methods.draws import draw\ndef f():\n    draw = 1\n    return draw\n", set()),
    ("from uvlp.methods.draws import draw\ndef f(x): return [draw for draw in x]\n", set()),
    ("from uvlp.methods.draws import draw\ndef f(x): return [draw for _ in x], lambda draw: draw\n", {DRAW}),
    ("from uvlp.methods.draws import draw\nclass f:\n    draw: int = 1\n", set()),
    # Methods of an argument's class are called.
    ("if TYPE_CHECKING:\n    from uvlp.methods.draws import draw\ndef f(x: draw): return x.y\n", {DRAW}),
    # A module that is passed as a value, or run by name, is referenced completely.
    ("from uvlp.methods import draws\ndef f(g): return g(draws)\n", {DRAWS}),
    ('f = ["-m", "uvlp.methods.draws"]\n', {DRAWS}),
    # Through a file that only re-exports it.
    ("from uvlp.methods.draws import again\nf = again\n", {Definition("uvlp.methods.other", "again")}),
]


@pytest.mark.parametrize(("source", "named"), NAMED)
def test_references_of_a_definition(of, source: str, named: set[object]) -> None:
    assert of(source).targets - {HERE} == named


LOADED = [
    ('NAME = "draws"\ndef f(): return plugins.load("methods", NAME).draw()\n', "draws", {"draw"}),
    ('def f(x):\n    p = plugins.load("methods", x)\n    return p.draw(), p.loss()\n', "", {"draw", "loss"}),
    ('def f(x):\n    p, q = plugins.load("methods", x), 1\n    return g(p)\n', "", {""}),
    ('def f(x):\n    p = plugins.load("methods", x)\n    p = p or x\n    return p.draw()\n', "", {""}),
]


@pytest.mark.parametrize(("source", "name", "attributes"), LOADED)
def test_plugins_that_a_definition_loads(of, source: str, name: str, attributes: set[str]) -> None:
    loaded = of(f"from uvlp.core import plugins\n{source}").loaded
    assert loaded == {Loaded("methods", name, attribute) for attribute in attributes}


@pytest.mark.parametrize(
    "source",
    [
        "from uvlp.core import plugins\ndef f(room): return plugins.load(room, 'x')\n",
        "from uvlp.methods import draws\ndef f(): return draws.missing()\n",
    ],
)
def test_unresolvable_references_raise(of, source: str) -> None:
    with pytest.raises(LookupError):
        of(source)
