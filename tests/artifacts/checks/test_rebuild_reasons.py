"""Artifacts of an earlier version that are rebuilt are reported with the reason, and no others."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uvlp.artifacts import scores
from uvlp.artifacts.checks import rebuild_reasons
from uvlp.artifacts.checks.rebuild_reasons import NFC, OTHER_FILES, Datasets
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, Task, manifest
from uvlp.cli.printing import dry_run
from uvlp.core.scheduling import workers
from uvlp.core.scheduling.cards import Asked
from uvlp.pipeline.making import make, remaining
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import prepare
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request
from uvlp.recipes.schema import DiffuserSettings
from uvlp.stages import tabulate

EARLIER = Path(__file__).parent / "earlier_manifests.jsonl"
"""The manifests of `uvlp reproduce digits 2 --profile nano`, written by the code of commit d8b66c8."""
CAFE = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
DATASET = DatasetManifest(
    name="folder",
    argument="",
    variant="",
    classes=(ClassInfo(id=CAFE, name=CAFE, index=0, train=20, val=5),),
    content_hash="b" * 64,
    image_px=32,
    source="a test",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for line in EARLIER.read_text(encoding="utf-8").splitlines():
        content = json.loads(line)
        path = tmp_path / "store" / content["kind"] / content["key"] / MANIFEST
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return Store(tmp_path / "store")


def reasons(store: Store, **arguments: Any) -> list[str]:
    """Return the reasons for a run on digits."""
    usual: dict[str, Any] = {"ipc": 2, "profile": "nano"}
    recipe = resolve(Request(dataset="digits", **usual | arguments))
    plan = prepare(check(recipe), store, "tabulate")
    todo = remaining.missing(plan, store)
    return list(rebuild_reasons.reasons(todo, store.root, Datasets(plan.manifest, "digits", store.cache)))


def test_reasons_are_given_for_a_store_of_an_earlier_version(store: Store) -> None:
    assert reasons(store) == [
        "autoencoder, diffuser: rebuilt: its code has revision 2, in the store 1",
        "vlcp images, uvlp images: rebuilt: the code of its sampler has revision 2, in the store 1",
        "features, tables, prototypes, scores: 8 rebuilt from these",
    ]
    # Artifacts that do not depend on them are kept.
    recipe = resolve(Request(dataset="digits", ipc=2, profile="nano"))
    plan = prepare(check(recipe), store, "tabulate")
    todo = {task.title for task in remaining.missing(plan, store)}
    assert len(todo) == 12 and not {"captions", "full images", "embedder, seed 0"} & todo


@pytest.mark.parametrize(
    "arguments",
    [
        {"ipc": 3, "methods": ["random"]},
        {"profile": "tiny", "seeds": ["7"]},
        {"settings": ["autoencoder.steps=3", "diffuser.steps=3"], "methods": ["d4m"]},
    ],
)
def test_different_requests_give_no_reasons(store: Store, arguments: dict[str, Any]) -> None:
    assert reasons(store, **arguments) == []


def test_renamed_table_is_reported(store: Store) -> None:
    assert reasons(store, methods=["random,full"]) == [], "a table of other methods is unrelated"
    recipe = resolve(Request(dataset="digits", ipc=2, profile="nano"))
    plan = prepare(check(recipe), store, "tabulate")
    (folder,) = (store.root / "tables").iterdir()
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    content["inputs"] = plan.goal.identity()["inputs"]
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")
    lines = list(
        rebuild_reasons.reasons([plan.goal], store.root, Datasets(plan.manifest, "digits", store.cache))
    )
    assert lines == [
        f"table digits-ipc2-nano: rebuilt: its code has revision {tabulate.REVISION}, in the store 1",
        "table digits-ipc2-nano: rebuilt: its name is digits-ipc2-nano, in the store digits-ipc2",
    ]


def test_reasons_are_printed_by_the_run_and_the_dry_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = resolve(Request(dataset="digits", ipc=2, profile="nano"))
    plan = prepare(check(recipe), store, "tabulate")
    dry_run.show(plan, store, Asked(workers=1), as_json=True)
    printed = capsys.readouterr().err
    assert printed.startswith("note   autoencoder, diffuser: rebuilt: ") and printed.count("\n") == 3

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        make.make(plan, store, Asked(workers=1))
    assert capsys.readouterr().err == printed
    damaged = remaining.missing(plan, store)
    with pytest.raises(KeyboardInterrupt):
        make.make(plan, store, Asked(workers=1), damaged)
    assert capsys.readouterr().err == "", "--force has printed the reason"


def task(**more: Any) -> Task:
    usual: dict[str, Any] = {
        "kind": "weights",
        "stage": "finetune",
        "plugin": "diffuser",
        "settings": DiffuserSettings(),
    }
    return Task(**usual | {"title": "diffuser, seed 0", "dataset": DATASET.content_hash} | more)


Change = Callable[[dict[str, Any]], object]


def keep(root: Path, wanted: Task, change: Change, made: dict[str, Any]) -> None:
    """Write the manifest of a finished artifact."""
    content = manifest(wanted, {"x": "0" * 64}, made)
    change(content)
    path = root / wanted.kind / wanted.key / MANIFEST
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def lines(root: Path, todo: Sequence[Task], location: str = "folder:/set") -> list[str]:
    return list(rebuild_reasons.reasons(todo, root, Datasets(DATASET, location, root / "datasets")))


MODELS = {"facts": {"models": {"diffusion": "new"}}, "origins": {"diffusion": "/models"}}


@pytest.mark.parametrize(
    ("more", "change", "reason"),
    [
        ({"schema": 2}, lambda old: old.update(schema=1), "its files have schema 2, in the store 1"),
        (
            {"revisions": {"dataset": 3}},
            lambda old: old.update(revisions={}),
            "the code of its dataset has revision 3, in the store 1",
        ),
        (
            {},
            lambda old: old["settings"].update(batch=7) or old.update(revision=0),
            f"the default of batch is {DiffuserSettings().batch}, in the store 7",
        ),
        (
            {"packages": {"plugin": "mine 1.1"}},
            lambda old: old.update(packages={"plugin": "mine 1.0"}),
            "its plugin comes from mine 1.1, in the store from mine 1.0",
        ),
        (
            {"packages": {"dataset": "mine 1.1"}},
            lambda old: old.pop("packages"),
            "its dataset comes from mine 1.1, in the store from uvlp itself",
        ),
        ({"facts": {"size_px": 32}}, lambda old: old["facts"].clear(), "its size_px is now recorded"),
        ({}, lambda old: old["facts"].update(size_px=32), "its size_px is no longer recorded"),
        (
            {"facts": {"portable": "glibc 2.36"}},
            lambda old: old["facts"].update(portable="glibc 2.31"),
            "--portable is glibc 2.36, in the store glibc 2.31",
        ),
        (MODELS, lambda old: old["facts"].update(models={}), "the published models at /models changed"),
    ],
)
def test_every_difference_that_was_not_requested_is_a_reason(
    tmp_path: Path, more: dict[str, Any], change: Change, reason: str
) -> None:
    wanted = task(**more)
    keep(tmp_path, wanted, change, {"origins": dict(wanted.origins)})
    assert f"diffuser: rebuilt: {reason}" in lines(tmp_path, [wanted])


@pytest.mark.parametrize(
    ("more", "change"),
    [
        ({}, lambda old: old["facts"].update(portable="glibc 2.31")),
        ({"settings": DiffuserSettings(batch=3)}, lambda old: old.update(changed_settings={})),
        ({"facts": {"ipc": 1}}, lambda old: old["facts"].update(ipc=2)),
        ({"title": "diffuser, seed 1"}, lambda old: old.update(title="diffuser, seed 0", revision=0)),
        ({}, lambda old: old.update(plugin="autoencoder", revision=0)),
        ({}, lambda old: old.update(dataset="a" * 64, revision=0)),
        (MODELS | {"origins": {"diffusion": "/others"}}, lambda old: old["made"].update(origins={"d": "/m"})),
        ({}, lambda old: old.pop("facts")),
        ({}, lambda old: old.update(revisions=None, revision=0)),
        ({}, lambda old: old.update(title=None)),
    ],
)
def test_different_requests_and_invalid_manifests_give_no_reason(
    tmp_path: Path, more: dict[str, Any], change: Change
) -> None:
    keep(tmp_path, task(**more), change, {})
    assert lines(tmp_path, [task(**more)]) == []


def remember(root: Path, content_hash: str, classes: list[dict[str, Any]], *, hashed: bool) -> None:
    cached: Any = {"classes": classes, "content_hash": content_hash}
    path = root / "datasets" / f"folder-{content_hash[:16]}.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"sha256": "", "content": cached} if hashed else cached), encoding="utf-8")


@pytest.mark.parametrize("hashed", [False, True])
def test_names_in_another_unicode_form_are_reported(tmp_path: Path, hashed: bool) -> None:
    former = unicodedata.normalize("NFD", CAFE)
    remember(tmp_path, "a" * 64, [{"id": former, "train": 20, "val": 5}], hashed=hashed)
    captions = task(kind="captions", stage="caption", title="captions")
    for wanted in (captions, task()):
        keep(tmp_path, replace(wanted, dataset="a" * 64), lambda old: None, {})
    assert lines(tmp_path, [captions, task()]) == [f"captions, diffuser: rebuilt: {NFC}"]


def test_same_dataset_is_recognised_by_location_or_classes(tmp_path: Path) -> None:
    classes = [{"id": CAFE, "train": 20, "val": 5}]
    remember(tmp_path, "a" * 64, classes, hashed=True)
    keep(tmp_path, task(dataset="a" * 64), lambda old: None, {})
    assert lines(tmp_path, [task()]) == [f"diffuser: rebuilt: {OTHER_FILES}"]
    keep(
        tmp_path, task(dataset="c" * 64, title="other, seed 0"), lambda old: None, {"dataset": "folder:/set"}
    )
    other = task(title="other, seed 0")
    assert lines(tmp_path, [other]) == [f"other: rebuilt: {OTHER_FILES}"]
    assert lines(tmp_path, [other], location="folder:/elsewhere") == []


def test_different_number_of_images_means_another_dataset(tmp_path: Path) -> None:
    remember(tmp_path, "a" * 64, [{"id": CAFE, "train": 21, "val": 5}], hashed=True)
    keep(tmp_path, task(dataset="a" * 64), lambda old: None, {})
    assert lines(tmp_path, [task()]) == []


def test_most_similar_artifact_gives_the_reason(tmp_path: Path) -> None:
    wanted = task(revision=3, schema=2, facts={"seed": 0})
    for revision, schema in ((1, 1), (2, 2), (0, 1)):
        keep(tmp_path, replace(wanted, revision=revision, schema=schema), lambda old: None, {})
    assert lines(tmp_path, [wanted]) == ["diffuser: rebuilt: its code has revision 3, in the store 2"]


def test_dependent_artifacts_are_counted(tmp_path: Path) -> None:
    raised = task(revision=2)
    score = task(kind=scores.KIND, stage="evaluate", title="a score", inputs={"weights": raised})
    new = replace(score, title="another score")
    keep(tmp_path, task(), lambda old: None, {})
    keep(tmp_path, replace(score, inputs={"weights": task()}), lambda old: None, {})
    assert lines(tmp_path, [raised, score, new]) == [
        "diffuser: rebuilt: its code has revision 2, in the store 1",
        "scores: 1 rebuilt from these",
    ]


def test_damaged_manifests_are_skipped(tmp_path: Path) -> None:
    keep(tmp_path, task(), lambda old: None, {})
    for number, text in enumerate(
        ("{", '{\n "title": "diffuser, seed 0"\n}', '[\n "title": "diffuser, seed 0"')
    ):
        path = tmp_path / "weights" / f"{number:016x}" / MANIFEST
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    assert lines(tmp_path, [task(revision=2)])
