"""`uvlp doctor`: check this machine, and print commands that fix problems."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from uvlp.cli.options import Options, takes
from uvlp.cli.printing import screen
from uvlp.core.files.paths import store_folder


@takes("store", "as_json", "debug")
def doctor(options: Options) -> None:
    """Check this machine and print fixes.

    Python, packages, GPU, disk and store are checked.

    Example: uvlp doctor
    """
    from uvlp.cli.findings import installation

    checks = list(installation.findings(store_folder(options["store"]).absolute()))
    if options["as_json"]:
        print(json.dumps([asdict(finding) for finding in checks], indent=1))
    else:
        for finding in checks:
            fix = f"  -> {finding.fix}" if finding.fix else ""
            screen.show(f"{'ok  ' if finding.good else 'FAIL'}  {finding.what:<16} {finding.found}{fix}")
    raise typer.Exit(0 if all(finding.good for finding in checks) else 2)
