"""Run `uvlp` with its workers on an emulated processor, to compare their output with the native bytes.

`python -m tests.portable.emulated Nehalem reproduce digits 2 --profile nano --portable --store STORE` needs
Debian's `qemu-user`. The main process, which computes no artifact, runs natively.
"""

import multiprocessing
import shlex
import shutil
import sys
import tempfile
from pathlib import Path


def wrapper(processor: str, folder: Path) -> Path:
    """Write a script that runs the interpreter on ``processor``, one of `qemu-x86_64 -cpu help`."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        sys.exit("qemu-x86_64 is missing: install qemu-user")
    command = [emulator, "-0", sys.executable, "-cpu", processor, sys.executable]
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script


def main() -> None:
    processor, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.set_executable(str(wrapper(processor, Path(folder))))
        sys.argv = ["uvlp", *arguments]
        from uvlp.__main__ import main as command_line

        command_line()


if __name__ == "__main__":
    main()
