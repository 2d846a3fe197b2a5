"""What the run was made with: settings of every stage, versions, the dataset, and the notes of its table."""

from __future__ import annotations

from collections.abc import Iterator

from uvlp.report.blocks import Grid, Lines, Panel
from uvlp.report.run import Artifact, Run
from uvlp.tables.notes import merged


def panel(run: Run) -> Panel:
    """Return the section."""
    result = Panel(
        id="settings",
        title="Settings",
        lead=f"Table {run.name}, key {run.key}, made {run.manifest['made'].get('at', '')}. The whole recipe "
        "as the stages used it; a dot marks what differs from the defaults.",
    )
    if run.table.notes:
        result.blocks.append(Lines(title="Notes of the table", lines=merged(run.table.notes)))
    rows = [row for artifact in _one_of_each(run) for row in _settings(artifact)]
    result.blocks.append(
        Grid(caption="Settings", header=["stage", "setting", "value", ""], rows=rows, numbers=9, folded=True)
    )
    versions: dict[str, list[str]] = {}
    for each in run.chain.values():
        for name, version in each.made.get("versions", {}).items():
            versions.setdefault(name, [])
            if str(version) not in versions[name]:
                versions[name].append(str(version))
    shown = [[name, ", ".join(found)] for name, found in versions.items()]
    grid = Grid(caption="Versions", header=["package", "version"], rows=shown, numbers=9, folded=True)
    result.blocks.append(grid)
    if run.dataset is not None:
        dataset = run.dataset
        lines = [
            f"{dataset.name}, {len(dataset.classes)} classes, {dataset.count('train')} training and "
            f"{dataset.count('val')} validation images: {dataset.source}",
            f"content {dataset.content_hash}",
            *dataset.notes,
            *dataset.caveats,
        ]
        result.blocks.append(Lines(title="Dataset", lines=lines))
    return result


def _one_of_each(run: Run) -> Iterator[Artifact]:
    """One artifact for every distinct set of settings, inputs first."""
    seen = set()
    for artifact in reversed(run.chain.values()):
        identity = (artifact.stage, repr(artifact.manifest["settings"]))
        if identity not in seen:
            seen.add(identity)
            yield artifact


def _settings(artifact: Artifact) -> Iterator[list[str]]:
    changed = artifact.manifest.get("changed_settings", {})
    for name, value in artifact.manifest["settings"].items():
        yield [artifact.stage, name, str(value), "●" if name in changed else ""]
