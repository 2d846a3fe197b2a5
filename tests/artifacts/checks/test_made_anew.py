"""A store of an earlier version: what is made anew is named with its reason, and nothing else is."""

import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from uvlp.artifacts import scores
from uvlp.artifacts.checks import made_anew
from uvlp.artifacts.checks.made_anew import NFC, OTHER_FILES, Datasets
from uvlp.artifacts.dataset import ClassInfo, DatasetManifest
from uvlp.artifacts.store import Store
from uvlp.artifacts.task import MANIFEST, Task, manifest
from uvlp.cli import dry_run, request
from uvlp.pipeline import make
from uvlp.pipeline.names import check
from uvlp.pipeline.prepare import prepare
from uvlp.recipes.schema import DiffuserSettings

EARLIER = Path(__file__).parent / "earlier_manifests.jsonl"
"""The manifests of `uvlp reproduce digits 2 --profile nano`, as the code of commit d8b66c8 wrote them."""
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
        place = tmp_path / "store" / content["kind"] / content["key"] / MANIFEST
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    return Store(tmp_path / "store")


def told(store: Store, **words: Any) -> list[str]:
    """What is said of a run on the digits."""
    usual: dict[str, Any] = {"ipc": 2, "profile": "nano"}
    recipe = request.resolve(request.Request(dataset="digits", **usual | words))
    plan = prepare(check(recipe), store, "tabulate")
    todo = make.missing(plan, store)
    return list(made_anew.reasons(todo, store.root, Datasets(plan.manifest, "digits", store.cache)))


def test_a_store_of_an_earlier_version_is_read_and_the_rest_has_reasons(store: Store) -> None:
    assert told(store) == [
        "autoencoder, diffuser: made anew: its code is of revision 2, in the store of 1",
        "vlcp images, uvlp images: made anew: the code of its sampler is of revision 2, in the store of 1",
        "features, tables, prototypes, scores: 8 made anew from these",
    ]
    # What needs none of them is there.
    recipe = request.resolve(request.Request(dataset="digits", ipc=2, profile="nano"))
    plan = prepare(check(recipe), store, "tabulate")
    todo = {task.title for task in make.missing(plan, store)}
    assert len(todo) == 12 and not {"captions", "full images", "embedder, seed 0"} & todo


@pytest.mark.parametrize(
    "words",
    [
        {"ipc": 3, "methods": ["random"]},
        {"profile": "tiny", "seeds": ["7"]},
        {"settings": ["autoencoder.steps=3", "diffuser.steps=3"], "methods": ["d4m"]},
    ],
)
def test_what_is_asked_for_otherwise_is_not_made_anew(store: Store, words: dict[str, Any]) -> None:
    assert told(store, **words) == []


def test_only_the_name_of_a_table_is_another_one(store: Store) -> None:
    found = told(store, methods=["random,full"])
    assert found == [], "a table of other methods is no earlier one of these"
    recipe = request.resolve(request.Request(dataset="digits", ipc=2, profile="nano"))
    plan = prepare(check(recipe), store, "tabulate")
    (folder,) = (store.root / "tables").iterdir()
    content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    content["inputs"] = plan.goal.identity()["inputs"]
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")
    lines = list(made_anew.reasons([plan.goal], store.root, Datasets(plan.manifest, "digits", store.cache)))
    assert lines == [
        "table digits-ipc2-nano: made anew: its name is digits-ipc2-nano, in the store digits-ipc2",
    ]


def test_it_is_said_before_it_is_made_and_by_the_dry_run(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = request.resolve(request.Request(dataset="digits", ipc=2, profile="nano"))
    plan = prepare(check(recipe), store, "tabulate")
    dry_run.show(plan, store, 1, as_json=True)
    said = capsys.readouterr().err
    assert said.startswith("note   autoencoder, diffuser: made anew: ") and said.count("\n") == 3

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(make, "_make_on_workers", stop)
    with pytest.raises(KeyboardInterrupt):
        make.make(plan, store, 1)
    assert capsys.readouterr().err == said
    damaged = make.missing(plan, store)
    with pytest.raises(KeyboardInterrupt):
        make.make(plan, store, 1, damaged)
    assert capsys.readouterr().err == "", "--force has said why"


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
    """The manifest of a finished artifact."""
    content = manifest(wanted, {"x": "0" * 64}, made)
    change(content)
    place = root / wanted.kind / wanted.key / MANIFEST
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(content, indent=1), encoding="utf-8")


def lines(root: Path, todo: Sequence[Task], place: str = "folder:/set") -> list[str]:
    return list(made_anew.reasons(todo, root, Datasets(DATASET, place, root / "datasets")))


MODELS = {"facts": {"models": {"diffusion": "new"}}, "origins": {"diffusion": "/models"}}


@pytest.mark.parametrize(
    ("more", "change", "reason"),
    [
        ({"schema": 2}, lambda old: old.update(schema=1), "its files are of schema 2, in the store of 1"),
        (
            {"revisions": {"dataset": 3}},
            lambda old: old.update(revisions={}),
            "the code of its dataset is of revision 3, in the store of 1",
        ),
        (
            {},
            lambda old: old["settings"].update(batch=7) or old.update(revision=0),
            f"the default of batch is {DiffuserSettings().batch}, in the store 7",
        ),
        (
            {"packages": {"plugin": "mine 1.1"}},
            lambda old: old.update(packages={"plugin": "mine 1.0"}),
            "its plugin is of mine 1.1, in the store of mine 1.0",
        ),
        (
            {"packages": {"dataset": "mine 1.1"}},
            lambda old: old.pop("packages"),
            "its dataset is of mine 1.1, in the store of uvlp itself",
        ),
        ({"facts": {"size_px": 32}}, lambda old: old["facts"].clear(), "its size_px is recorded now"),
        ({}, lambda old: old["facts"].update(size_px=32), "its size_px is no longer recorded"),
        (
            {"facts": {"portable": "glibc 2.36"}},
            lambda old: old["facts"].update(portable="glibc 2.31"),
            "--portable is glibc 2.36 here, glibc 2.31 in the store",
        ),
        (MODELS, lambda old: old["facts"].update(models={}), "the published models at /models changed"),
    ],
)
def test_every_difference_that_nobody_asked_for(
    tmp_path: Path, more: dict[str, Any], change: Change, reason: str
) -> None:
    wanted = task(**more)
    keep(tmp_path, wanted, change, {"origins": dict(wanted.origins)})
    assert f"diffuser: made anew: {reason}" in lines(tmp_path, [wanted])


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
def test_another_request_and_another_shape_say_nothing(
    tmp_path: Path, more: dict[str, Any], change: Change
) -> None:
    keep(tmp_path, task(**more), change, {})
    assert lines(tmp_path, [task(**more)]) == []


def remember(root: Path, content_hash: str, classes: list[dict[str, Any]], *, hashed: bool) -> None:
    kept: Any = {"classes": classes, "content_hash": content_hash}
    place = root / "datasets" / f"folder-{content_hash[:16]}.json"
    place.parent.mkdir()
    place.write_text(json.dumps({"sha256": "", "content": kept} if hashed else kept), encoding="utf-8")


@pytest.mark.parametrize("hashed", [False, True])
def test_names_that_were_hashed_in_another_form(tmp_path: Path, hashed: bool) -> None:
    former = unicodedata.normalize("NFD", CAFE)
    remember(tmp_path, "a" * 64, [{"id": former, "train": 20, "val": 5}], hashed=hashed)
    captions = task(kind="captions", stage="caption", title="captions")
    for wanted in (captions, task()):
        keep(tmp_path, replace(wanted, dataset="a" * 64), lambda old: None, {})
    assert lines(tmp_path, [captions, task()]) == [f"captions, diffuser: made anew: {NFC}"]


def test_a_dataset_is_the_same_by_its_place_or_where_none_is_recorded_by_its_classes(tmp_path: Path) -> None:
    classes = [{"id": CAFE, "train": 20, "val": 5}]
    remember(tmp_path, "a" * 64, classes, hashed=True)
    keep(tmp_path, task(dataset="a" * 64), lambda old: None, {})
    assert lines(tmp_path, [task()]) == [f"diffuser: made anew: {OTHER_FILES}"]
    keep(
        tmp_path, task(dataset="c" * 64, title="other, seed 0"), lambda old: None, {"dataset": "folder:/set"}
    )
    other = task(title="other, seed 0")
    assert lines(tmp_path, [other]) == [f"other: made anew: {OTHER_FILES}"]
    assert lines(tmp_path, [other], place="folder:/elsewhere") == []


def test_another_number_of_images_is_another_dataset(tmp_path: Path) -> None:
    remember(tmp_path, "a" * 64, [{"id": CAFE, "train": 21, "val": 5}], hashed=True)
    keep(tmp_path, task(dataset="a" * 64), lambda old: None, {})
    assert lines(tmp_path, [task()]) == []


def test_the_nearest_of_several_gives_the_reason(tmp_path: Path) -> None:
    wanted = task(revision=3, schema=2, facts={"seed": 0})
    for revision, schema in ((1, 1), (2, 2), (0, 1)):
        keep(tmp_path, replace(wanted, revision=revision, schema=schema), lambda old: None, {})
    assert lines(tmp_path, [wanted]) == ["diffuser: made anew: its code is of revision 3, in the store of 2"]


def test_what_is_made_anew_from_them_is_counted_where_the_store_has_it(tmp_path: Path) -> None:
    raised = task(revision=2)
    score = task(kind=scores.KIND, stage="evaluate", title="a score", inputs={"weights": raised})
    new = replace(score, title="another score")
    keep(tmp_path, task(), lambda old: None, {})
    keep(tmp_path, replace(score, inputs={"weights": task()}), lambda old: None, {})
    assert lines(tmp_path, [raised, score, new]) == [
        "diffuser: made anew: its code is of revision 2, in the store of 1",
        "scores: 1 made anew from these",
    ]


def test_a_damaged_manifest_beside_is_passed_over(tmp_path: Path) -> None:
    keep(tmp_path, task(), lambda old: None, {})
    for number, text in enumerate(
        ("{", '{\n "title": "diffuser, seed 0"\n}', '[\n "title": "diffuser, seed 0"')
    ):
        place = tmp_path / "weights" / f"{number:016x}" / MANIFEST
        place.parent.mkdir()
        place.write_text(text, encoding="utf-8")
    assert lines(tmp_path, [task(revision=2)])
