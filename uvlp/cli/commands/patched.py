"""`uvlp patched`: run a script with pipelines that third-party scripts import from diffusers."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from uvlp.cli.options import VERBOSITY, Options, argument, how_option, path_option, takes, what_option

CommandArgument = Annotated[
    list[str] | None,
    argument(
        metavar="COMMAND",
        help="a command and its arguments, e.g. python SCRIPT; without one, only the copy is made",
    ),
]
TargetOption = Annotated[
    str | None,
    how_option(
        "--target",
        metavar="DIR",
        callback=path_option,
        help="folder of the patched copy [patched/ of the checkout; /opt/uvlp/patched in the image]",
    ),
]
RemoveOption = Annotated[bool, what_option("--remove", help="delete the patched copy")]


@takes(*VERBOSITY)
def patched(
    options: Options,
    command: CommandArgument = None,
    target: TargetOption = None,
    remove: RemoveOption = False,
) -> None:
    """Run a command that imports diffusers with the pipelines of the published code.

    They are in a copy of the installed diffusers, which itself is not changed; the copy is made when it is
    first needed.

    Example: uvlp patched python gen_syn_image.py
    """
    from uvlp.core.errors import UvlpError
    from uvlp.core.files.paths import expand_home
    from uvlp.exchange import patched as copies

    folder = expand_home(target).absolute() if target else copies.TARGET
    if remove:
        if command:
            fix = "omit one of them"
            raise UvlpError("--remove deletes the copy that the command needs", got=command[0], fix=fix)
        copies.remove(folder)
        print(f"deleted {folder}")
        return
    copies.ensure(folder)
    if command:
        _become(command, folder)
    print(folder)


def _become(command: Sequence[str], folder: Path) -> None:
    """Replace this process by the command: its output, signals and exit code are its own.

    Raises:
        UvlpError: there is no such program.
    """
    from uvlp.core.errors import UvlpError

    environment = dict(os.environ)
    # The interpreter of this environment comes first, so that scripts that call `python` have its packages.
    for name, first in (("PATH", os.path.dirname(sys.executable)), ("PYTHONPATH", str(folder))):
        environment[name] = os.pathsep.join(filter(None, [first, environment.get(name)]))
    of_python = sys.executable if command[0] in ("python", "python3") else None
    program = of_python or shutil.which(command[0], path=environment["PATH"])
    if program is None:
        fix = "check its name, or give its path"
        raise UvlpError("no such program", got=command[0], allowed="a command, e.g. python SCRIPT", fix=fix)
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores this signal, and an ignored one stays so.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.execve(program, [*command], environment)
