"""`uvlp doctor`: check this machine, and print commands that fix problems."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from uvlp.cli.options import DebugOption, JsonOption, StoreOption
from uvlp.core.files.paths import store_folder


def doctor(store: StoreOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check this machine and print fixes.

    Python, packages, GPU, disk and store are checked.

    Example: uvlp doctor
    """
    from uvlp.cli.findings import installation

    checks = list(installation.findings(store_folder(store).absolute()))
    if as_json:
        print(json.dumps([asdict(finding) for finding in checks], indent=1))
    else:
        for finding in checks:
            fix = f"  -> {finding.fix}" if finding.fix else ""
            print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.what:<16} {finding.found}{fix}")
    raise typer.Exit(0 if all(finding.good for finding in checks) else 2)
