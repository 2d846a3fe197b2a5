"""`uvlp doctor`: what this machine has, what is missing, and the command that fixes it."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from uvlp.cli.options import DebugOption, JsonOption, StoreOption
from uvlp.core.files.places import store_folder


def doctor(store: StoreOption = None, as_json: JsonOption = False, debug: DebugOption = False) -> None:
    """Check python, packages, GPU, disk and the store, and print how to fix what is missing.

    Example: uvlp doctor
    """
    from uvlp.cli.findings import installation

    found = list(installation.findings(store_folder(store).absolute()))
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        for finding in found:
            fix = f"  -> {finding.fix}" if finding.fix else ""
            print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.what:<16} {finding.found}{fix}")
    raise typer.Exit(0 if all(finding.good for finding in found) else 2)
