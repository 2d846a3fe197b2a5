"""Settings: all trainings of a table agree with each other, with their protocol, and with its caption."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from uvlp.artifacts import scores
from uvlp.artifacts.task import MANIFEST, deciding, plain
from uvlp.core.errors import UvlpError
from uvlp.declarations.protocol import ProtocolDeclaration, declared_protocol
from uvlp.pipeline.verification.contents import Artifact, Contents, Measured, ScoreFacts, measured
from uvlp.pipeline.verification.report import Check
from uvlp.recipes.remarks import OTHER_SETTINGS

CAPTION = re.compile(
    r"(?P<dataset>.+), (?P<ipc>\d+) images per class, (?P<protocol>\S+) protocol, profile (?P<profile>\S+)"
)
"""Of a table (`pipeline/planning/planner.py`)."""


def check_settings(contents: Contents) -> Check:
    """Of every score against its protocol, and of every table's scores against each other."""
    check = Check(
        name="settings",
        one="{} score has the settings of its protocol and table",
        many="{} scores have the settings of their protocols and tables",
    )
    for one in contents.of_kind(scores.KIND):
        _check_defaults(check, one)
    for table in measured(contents):
        found = [
            contents.artifacts[name]
            for cell in table.facts.cells
            for name in table.names(cell)
            if name in contents.artifacts and name not in contents.damaged
        ]
        if found:
            _check_agreement(check, table, found)
            _check_statement(check, table, found[0], contents)
    return check


def _protocol(one: Artifact) -> ProtocolDeclaration | None:
    """The protocol of a score; None where this installation has none of that name and revision."""
    assert one.manifest is not None
    try:
        found = declared_protocol(one.manifest.plugin)
    except UvlpError:
        return None
    return found if found.revision == one.manifest.revision else None


def _check_defaults(check: Check, one: Artifact) -> None:
    """The full settings are the protocol's defaults with those changed that enter the key."""
    manifest, protocol = one.manifest, _protocol(one)
    assert manifest is not None
    if protocol is None or manifest.changed_settings is None:
        check.skipped["scores of a protocol or revision that is not installed"] += 1
        return
    check.checked += 1
    expected = {**deciding(protocol.settings()), **manifest.changed_settings}
    for name, value in expected.items():
        got = manifest.settings.get(name)
        if got != value:
            check.fail(f"{one.name}/{MANIFEST}", f"setting {name}", json.dumps(got), json.dumps(value))


def _check_agreement(check: Check, table: Measured, found: list[Artifact]) -> None:
    """What most trainings of the table have, all have."""
    values = {one.name: _compared(one) for one in found}
    for name in sorted({name for each in values.values() for name in each}):
        counts = Counter(each.get(name, "none") for each in values.values() if name in each)
        usual = counts.most_common(1)[0][0]
        for score, each in values.items():
            if name in each and each[name] != usual:
                what = f"{name}, other than that of the other scores of {table.artifact.name}"
                check.fail(f"{score}/{MANIFEST}", what, each[name], usual)


def _compared(one: Artifact) -> dict[str, str]:
    manifest, facts = one.manifest, one.facts
    assert manifest is not None and isinstance(facts, ScoreFacts)
    found: dict[str, Any] = {f"setting {name}": value for name, value in manifest.settings.items()}
    found |= {"protocol": manifest.plugin, "revision": manifest.revision, "portable": facts.portable}
    if facts.ipc is not None:  # the whole set has none
        found["ipc"] = facts.ipc
    return {name: json.dumps(value, sort_keys=True) for name, value in found.items()}


def _check_statement(check: Check, table: Measured, first: Artifact, contents: Contents) -> None:
    """The caption names protocol and IPC, a note the settings that are not the protocol's."""
    manifest, file = first.manifest, f"{table.artifact.name}/{MANIFEST}"
    assert manifest is not None
    stated = CAPTION.fullmatch(table.facts.caption)
    if stated is None:
        check.skipped["tables with a caption of another form"] += 1
        return
    check.compare(file, "protocol in the caption", stated["protocol"], manifest.plugin)
    for cell in table.facts.cells:
        for name in table.names(cell):
            one = contents.artifacts.get(name)
            if one is not None and isinstance(one.facts, ScoreFacts) and one.facts.ipc is not None:
                if str(one.facts.ipc) != stated["ipc"]:
                    check.fail(file, "images per class in the caption", stated["ipc"], one.facts.ipc)
                break
    protocol = _protocol(first)
    if protocol is not None and manifest.changed_settings is not None:
        _check_note(check, table, protocol, manifest.changed_settings)


def _check_note(
    check: Check, table: Measured, protocol: ProtocolDeclaration, changed: Mapping[str, Any]
) -> None:
    note = next((note for note in table.facts.notes if note.startswith(OTHER_SETTINGS)), "")
    for name, value in plain(changed).items():
        shown = f"{protocol.section}.{name}={value if isinstance(value, str) else json.dumps(value)}"
        if shown not in note:
            file = f"{table.artifact.name}/{MANIFEST}"
            check.fail(file, "a setting that its notes do not name", note or "no such note", shown)
    if not changed and f" {protocol.section}." in note:
        check.fail(
            f"{table.artifact.name}/{MANIFEST}", "its notes name settings of the protocol", note, "none"
        )


def check_versions(contents: Contents) -> Check:
    """With which versions the trainings of a cell were made; different ones are a remark."""
    check = Check(
        name="versions",
        one="{} cell was trained with the same package versions throughout",
        many="{} cells were each trained with the same package versions throughout",
    )
    for table in measured(contents):
        for cell in table.facts.cells:
            found: dict[str, set[str]] = {}
            for name in table.names(cell):
                one = contents.artifacts.get(name)
                made = (one.manifest.made if one and one.manifest else None) or {}
                versions = made.get("versions")
                for package, version in versions.items() if isinstance(versions, dict) else ():
                    found.setdefault(str(package), set()).add(str(version))
            different = {package: sorted(each) for package, each in found.items() if len(each) > 1}
            if found and not different:
                check.checked += 1
            for package, each in different.items():
                told = f"{cell.title} with {cell.network}: {package} {', '.join(each)}"
                check.remarks.append(f"{table.artifact.name}: different versions in one cell: {told}")
    return check
