"""Mutate one constant of a definition, in memory.

`python -m tests.pins.mutations` does so once in every file that a plug-in reaches, and reports mutations that
do not change the hash of exactly the plug-ins that reach the definition.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from tests.pins.closure import Reader
from tests.pins.pins import PACKAGE, State, read
from tests.pins.sources import Definition, Package


def constants(statement: ast.stmt) -> Iterator[ast.Constant]:
    """Yield the numbers and strings of a definition that can affect its behaviour."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop(0)
        match node:
            case ast.Raise() | ast.Expr(value=ast.Constant()):
                continue
            case ast.Constant(value=bool() | int() | float() | str()):
                yield node
            case ast.FunctionDef(args=arguments, body=body):
                waiting += [*arguments.defaults, *filter(None, arguments.kw_defaults), *body]
            case ast.AnnAssign(value=value):
                waiting += [value] if value else []
            case _:
                waiting += ast.iter_child_nodes(node)


def change(package: Package, definition: Definition) -> str | None:
    """Return the module's text with the first constant of a definition changed; None if it has none."""
    text = package.modules[definition.module].read_text(encoding="utf-8")
    tree = ast.parse(text)
    (old,) = package.source(definition.module).definitions[definition.name]
    (copy,) = [node for node in tree.body if node.lineno == old.lineno]
    for constant in constants(copy):
        match constant.value:
            case bool(value):
                constant.value = not value
            case str(value):
                constant.value = f"{value}?"
            case int(value) | float(value):
                constant.value = value + 1
        return ast.unparse(tree)
    return None


def noticed(state: State, reader: Reader, definition: Definition) -> set[str] | None:
    """Return the plug-ins whose hash changes with a constant of the definition; None if it has none."""
    text = change(state.package, definition)
    if text is None:
        return None
    package = state.package.with_text(definition.module, text)
    kept = {each: tree for each, tree in reader.known.items() if each.module != definition.module}
    changed = read(Reader(package, kept))
    return {name for name, closure in changed.closures.items() if closure.hash != state.closures[name].hash}


def main() -> None:
    """Mutate a constant in every file that a plug-in reaches."""
    reader = Reader(Package(PACKAGE))
    state = read(reader)
    tried, wrong = set(), []
    for definition in sorted(reader.known):
        statements = state.package.source(definition.module).definitions[definition.name]
        if definition.module in tried or len(statements) > 1:
            continue
        try:
            affected = noticed(state, reader, definition)
        except LookupError:  # the constant is the name of a plug-in
            continue
        if affected is not None:
            tried.add(definition.module)
            if affected != set(state.users(definition)):
                wrong.append(f"{definition}: {affected ^ set(state.users(definition))}")
    reached = {each.module for each in reader.known}
    print(f"{len(tried)} of {len(reached)} files mutated; without a constant:", *sorted(reached - tried))
    print(f"{len(wrong)} mutations changed the hash of other plug-ins", *wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
