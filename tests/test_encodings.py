"""Text is UTF-8 in every locale: every read and write gives the encoding."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = """
import sys
from pathlib import Path
from tests.tables.test_table import titled
from uvlp.artifacts import tables
from uvlp.tables.table import texts
table = titled("L\\xf6\\xdf \\xb1 \\u8349")
tables.write(Path(sys.argv[1]), table, texts(table))
"""


def sources() -> Iterator[Path]:
    """Yield the files of the package, and of the tests except the tests themselves."""
    for folder in ("uvlp", "benchmarks", "tools"):
        yield from (REPOSITORY / folder).rglob("*.py")
    yield from (path for path in (REPOSITORY / "tests").rglob("*.py") if not path.name.startswith("test_"))


def without_encoding(call: ast.Call) -> bool:
    """Return whether a call reads or writes text in the locale's encoding; ``fileobj`` is binary."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {keyword.arg for keyword in call.keywords}
    if given & {"encoding", "fileobj"}:
        return False
    if name not in ("open", "fdopen", "read_text", "write_text", "run", "Popen"):
        return False
    if name == "read_text" and call.args:
        return False  # the encoding of a path, or a file of an installed distribution, which is UTF-8
    if name in ("read_text", "write_text"):
        return True
    if name in ("run", "Popen"):
        return "text" in given
    constants = [
        each.value
        for each in [*call.args, *(k.value for k in call.keywords)]
        if isinstance(each, ast.Constant)
    ]
    modes = [mode for mode in constants if isinstance(mode, str) and mode and not set(mode) - set("rwaxbt+")]
    opens_a_file = isinstance(call.func, ast.Name) or not call.args
    return not any("b" in mode for mode in modes) if modes else opens_a_file


def test_every_text_names_its_encoding() -> None:
    for path in sorted(sources()):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call):
                where = f"{path.relative_to(REPOSITORY)}:{node.lineno}"
                assert not without_encoding(node), f'{where}: add encoding="utf-8"'


def test_another_locale_writes_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name, locale in (("c", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}), ("utf8", {})):
        folder = tmp_path / name
        folder.mkdir()
        environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(REPOSITORY), **locale}
        subprocess.run([sys.executable, "-c", PROGRAM, str(folder)], check=True, env=environment)
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert len(written[0]) == 4
    assert written[0] == written[1]
