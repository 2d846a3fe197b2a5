"""Manifests: readable, of this version's form, of the folder that they lie in, and with a provenance."""

from __future__ import annotations

from uvlp.artifacts import (
    captions,
    distilled,
    features,
    pixels,
    prototypes,
    scores,
    tables,
    teachers,
    weights,
)
from uvlp.artifacts.checks.kinds import missing_pattern
from uvlp.artifacts.task import MANIFEST, key_of
from uvlp.core.wording import first_few
from uvlp.pipeline.verification.contents import NO_MANIFEST, Artifact, Contents, Manifest, TableFacts
from uvlp.pipeline.verification.report import Check

KINDS = (captions, distilled, features, pixels, prototypes, scores, tables, teachers, weights)
SCHEMAS = {kind.KIND: kind.SCHEMA for kind in KINDS}


def check_manifests(contents: Contents) -> Check:
    """Form, folder, key, schema, names of files; what has a wrong manifest is looked at no further."""
    check = Check(
        name="manifests",
        one="{} manifest matches its folder and key",
        many="{} manifests match their folders and keys",
    )
    for one in contents.artifacts.values():
        if one.wrong == NO_MANIFEST:
            contents.damaged.add(one.name)  # named by `provenance`
            continue
        before = len(check.findings)
        check.checked += 1
        if one.manifest is None:
            check.fail(f"{one.name}/{MANIFEST}", one.wrong, allowed="a manifest of this version")
        else:
            _check_entries(check, one, one.manifest)
        if len(check.findings) > before:
            contents.damaged.add(one.name)
    return check


def _check_entries(check: Check, one: Artifact, manifest: Manifest) -> None:
    file, found = f"{one.name}/{MANIFEST}", f"{manifest.kind}/{manifest.key}"
    if found != one.name:
        check.fail(file, "the manifest of another folder", found, one.name)
    if manifest.schema != SCHEMAS[one.kind]:
        check.fail(file, "another schema", manifest.schema, f"{SCHEMAS[one.kind]}, of this version")
    try:
        key = key_of(one.content)
    except ValueError as error:  # infinity, which no JSON has
        key = f"none: {error}"
    if key is None:
        check.skipped["keys that cannot be computed again (manifest of an early version)"] += 1
    elif key != manifest.key:
        check.fail(file, "its key does not belong to what it says", manifest.key, key)
    outside = [name for name in manifest.files if not _is_inside(name)]
    if outside:
        check.fail(file, "a path that leads out of the folder", outside[0], "names below the folder")
    if missing := missing_pattern(one.kind, manifest.files):
        check.fail(file, "a file of this kind is not listed", first_few(manifest.files), missing)
    for name, value in (manifest.changed_settings or {}).items():
        if manifest.settings.get(name) != value:
            check.fail(file, f"setting {name}", manifest.settings.get(name), value)
    if isinstance(one.facts, TableFacts):
        listed = {name for cell in one.facts.cells for name in cell.scores}
        if listed != set(manifest.inputs):
            odd = sorted(listed ^ set(manifest.inputs))
            check.fail(file, "the cells' trainings are not its inputs", first_few(odd))
        if manifest.title != f"table {one.facts.name}":
            check.fail(file, "title", manifest.title, f"table {one.facts.name}")


def _is_inside(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return bool(name) and not name.startswith(("/", "\\")) and not {"", ".", ".."} & set(parts)


def check_provenance(contents: Contents) -> Check:
    """When, where and with which packages each artifact was made."""
    check = Check(
        name="provenance",
        one="{} artifact records when and with which packages it was made",
        many="{} artifacts record when and with which packages they were made",
    )
    for one in contents.artifacts.values():
        if one.wrong == NO_MANIFEST:
            check.checked += 1
            check.fail(one.name, one.wrong, allowed=MANIFEST)
        elif one.manifest is not None:
            check.checked += 1
            made = one.manifest.made or {}
            if not isinstance(made.get("at"), str) or not _are_versions(made.get("versions")):
                allowed = "at: a time; versions: texts by package"
                check.fail(f"{one.name}/{MANIFEST}", "made: not recorded", allowed=allowed)
    return check


def _are_versions(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(each, str) for each in value.values())
