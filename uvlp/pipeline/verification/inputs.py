"""Inputs: of the kind that belongs there, of the same dataset; scores with the hash that a table lists."""

from __future__ import annotations

from uvlp.artifacts import scores, tables
from uvlp.artifacts.task import MANIFEST
from uvlp.pipeline.verification.contents import INPUT_KINDS, Artifact, Contents, Manifest
from uvlp.pipeline.verification.report import Check


def check_inputs(contents: Contents) -> Check:
    """Of every artifact; what is not here is counted, and missed only where a table has but some scores."""
    check = Check(
        name="inputs",
        one="{} input has the recorded kind, dataset and hash",
        many="{} inputs have the recorded kind, dataset and hash",
    )
    for one in contents.artifacts.values():
        if one.manifest is None or one.name in contents.damaged:
            continue
        for role, key in one.manifest.inputs.items():
            kind = scores.KIND if one.kind == tables.KIND else INPUT_KINDS.get((one.kind, role), role)
            earlier = contents.by_key.get(key)
            if earlier is None:
                check.skipped[f"inputs not in this store ({kind})"] += 1
            elif earlier.manifest is not None and earlier.name not in contents.damaged:
                _check_input(check, one, one.manifest, role, earlier, earlier.manifest)
        if one.kind == tables.KIND:
            _check_complete(check, one, one.manifest, contents)
    return check


def _check_input(
    check: Check, one: Artifact, manifest: Manifest, role: str, earlier: Artifact, of_earlier: Manifest
) -> None:
    file = f"{one.name}/{MANIFEST}"
    check.checked += 1
    allowed = scores.KIND if one.kind == tables.KIND else INPUT_KINDS.get((one.kind, role))
    if allowed and earlier.kind != allowed:
        check.fail(file, f"input {role!r} is of another kind", earlier.name, allowed)
    if manifest.dataset != of_earlier.dataset:
        got, wanted = manifest.dataset[:16], of_earlier.dataset[:16]
        check.fail(file, "its dataset is not that of its input", got, f"{wanted}, of {earlier.name}")
    if one.kind == tables.KIND and earlier.kind == scores.KIND:
        found = of_earlier.files[scores.FILE]
        recorded = manifest.inputs_sha256.get(role)
        if recorded is None and manifest.inputs_sha256:
            check.fail(file, f"no hash of the score {role!r}", allowed="one of every score")
        elif recorded is None:
            check.skipped["scores whose hash is not in their table (of an earlier version)"] += 1
        elif recorded != found:
            what = f"not the score that table {one.key} was made from, SHA-256"
            check.fail(f"{earlier.name}/{scores.FILE}", what, found, recorded)


def _check_complete(check: Check, one: Artifact, manifest: Manifest, contents: Contents) -> None:
    keys = set(manifest.inputs.values())
    missing = sorted(key for key in keys if key not in contents.by_key)
    if missing and len(missing) < len(keys):
        check.fail(
            f"{scores.KIND}/{missing[0]}",
            f"missing behind {one.name}, with {len(missing) - 1} others of its {len(keys)} scores",
            allowed="all scores of a table, or none",
        )
