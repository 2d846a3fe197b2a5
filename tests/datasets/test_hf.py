"""`hf:OWNER/NAME`: fetched once at a commit, images kept byte for byte, columns and splits, errors."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest

from tests import fake_hub
from tests.datasets.hub_repository import NAMES, picture, pictures, save, table
from tests.fake_hub import Hub, commit
from uvlp.artifacts.dataset import Dataset, DatasetSpec
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Progress
from uvlp.datasets import hf
from uvlp.datasets.hub.address import FORM, parse
from uvlp.datasets.hub.card import CONVERTED
from uvlp.pipeline.requests import carry_out
from uvlp.pipeline.requests.resolve import resolve
from uvlp.recipes.requests.request import Request

REPOSITORY = "datasets/them/animals"
LABELS = [0, 1, 2] * 2


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with fake_hub.serve() as served:
        fake_hub.live_in(tmp_path / "home", monkeypatch, served.address)
        yield served


def publish(hub: Hub, folder: Path, digit: str = "a") -> None:
    hub.folders[REPOSITORY, commit(digit)] = folder
    hub.newest[REPOSITORY] = commit(digit)


@pytest.fixture
def animals(tmp_path: Path, hub: Hub) -> Path:
    """Two splits of three classes; the newest commit is aaa..."""
    splits = {"train": table(pictures(6), LABELS), "test": table(pictures(6, 50), LABELS)}
    folder = save(tmp_path / "repository", splits, card="license: mit\n")
    publish(hub, folder)
    return folder


def spec(tmp_path: Path, choices: str = "") -> DatasetSpec:
    return DatasetSpec(name="hf", argument=f"them/animals{choices}", data=str(tmp_path / "data"))


def opened(tmp_path: Path, choices: str = "") -> Dataset:
    where = spec(tmp_path, choices)
    hf.fetch(where, Progress())
    return hf.open_dataset(where, tmp_path / "cache")


def refused(tmp_path: Path, choices: str = "") -> UvlpError:
    with pytest.raises(UvlpError) as caught:
        opened(tmp_path, choices)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    folder = tmp_path / "data/hf/them/animals"
    left = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    assert set(left) <= {".lease"}, "nothing unfinished is left"
    return caught.value


def rewritten(
    tmp_path: Path, hub: Hub, train: datasets.Dataset, test: datasets.Dataset | None = None
) -> None:
    publish(hub, save(tmp_path / "other", {"train": train, "test": test or train}), "b")


def test_classes_keep_their_order_and_images_their_bytes(animals: Path, tmp_path: Path) -> None:
    found = opened(tmp_path)
    classes = [(each.id, each.name, each.train, each.val) for each in found.manifest.classes]
    assert classes == [("zebra", "zebra", 2, 2), ("ape", "ape", 2, 2), ("tabby_cat", "tabby cat", 2, 2)]
    assert found.files("train")[:3] == (
        *("train/zebra/00000000.jpg", "train/zebra/00000003.png"),
        "train/ape/00000001.png",
    )
    root = tmp_path / "data/hf/them/animals" / commit("a")
    kept = [(root / name).read_bytes() for name in found.files("val")]
    files = pictures(6, 50)
    assert kept == [files[row] for row in (0, 3, 1, 4, 2, 5)]
    assert found.captions() is None
    manifest = found.manifest
    assert (manifest.name, manifest.argument) == ("hf", f"them/animals@{commit('a')}")
    assert commit("a") in manifest.source and "mit" in manifest.source
    assert commit("a") in manifest.notes[0] and "train and test" in manifest.notes[1]


def test_a_file_system_without_links_has_the_same_dataset(
    animals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened(tmp_path / "links").manifest.content_hash

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    for name in ("symlink", "link"):
        monkeypatch.setattr(os, name, refuse)
    assert opened(tmp_path / "none").manifest.content_hash == before


def test_it_is_fetched_once_and_then_needs_neither_network_nor_library(
    animals: Path, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hf.download(spec(tmp_path)) is not None
    before = opened(tmp_path).manifest.content_hash
    hub.folders.clear()
    hub.newest.clear()
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert hf.download(spec(tmp_path)) is None and hf.download(spec(tmp_path, f"@{commit('a')}")) is None
    for choices in ("", "@main", f"@{commit('a')}"):
        assert opened(tmp_path, choices).manifest.content_hash == before
    hub.newest[REPOSITORY] = commit("c")
    assert opened(tmp_path).manifest.argument.endswith(commit("a")), "a branch stays at its first commit"


def test_content_of_another_commit_is_another_dataset(animals: Path, tmp_path: Path, hub: Hub) -> None:
    before = opened(tmp_path).manifest.content_hash
    rewritten(tmp_path, hub, table(pictures(6, 7), LABELS))
    assert opened(tmp_path, f"@{commit('b')}").manifest.content_hash != before
    same = save(
        tmp_path / "same", {"train": table(pictures(6), LABELS), "test": table(pictures(6, 50), LABELS)}
    )
    publish(hub, same, "c")
    again = opened(tmp_path, f"@{commit('c')}").manifest
    assert again.content_hash == before and again.argument.endswith(commit("c"))


def test_captions_are_counted_and_read(animals: Path, tmp_path: Path, hub: Hub) -> None:
    texts = ["one", None, " ", "four\nlines", "five", "six"]
    rewritten(tmp_path, hub, table(pictures(6), LABELS, caption=texts))
    found = opened(tmp_path, f"@{commit('b')}")
    captions = found.captions() or {}
    assert captions["zebra/00000000.jpg"] == "one" and len(captions) == 4
    assert "captions `caption` of 4 of 6 training images" in found.manifest.notes
    without = opened(tmp_path, f"@{commit('b')},caption=none")
    assert without.captions() is None and without.manifest.content_hash != found.manifest.content_hash


def test_further_captions_of_an_image_are_counted(animals: Path, tmp_path: Path, hub: Hub) -> None:
    rewritten(tmp_path, hub, table(pictures(6), LABELS, sentences=[["first", "second"]] * 6))
    assert opened(tmp_path, f"@{commit('b')}").captions() is None
    found = opened(tmp_path, f"@{commit('b')},caption=sentences")
    assert set((found.captions() or {}).values()) == {"first"}
    assert "6 further ones are not used" in found.manifest.notes[-1]


def test_columns_and_splits_can_be_named(tmp_path: Path, hub: Hub) -> None:
    rows = table(pictures(6), LABELS, columns=("picture", "kind"), coarse=["a", "b", "c"] * 2)
    splits = dict.fromkeys(("first", "validation", "test"), rows)
    publish(hub, save(tmp_path / "repository", splits))
    error = refused(tmp_path)
    assert "train" in error.what and error.got == "first, validation, test" and ",train=" in str(error.fix)
    found = opened(tmp_path, ",train=first")
    assert "first and validation; not used: test" in found.manifest.notes[1]
    texts = opened(tmp_path, ",train=first,test=test,image=picture,label=coarse")
    assert [each.id for each in texts.manifest.classes] == ["a", "b", "c"]


def test_numbers_are_classes_if_none_is_left_out(animals: Path, tmp_path: Path, hub: Hub) -> None:
    rewritten(tmp_path, hub, table(pictures(6), [0, 2] * 3, names=()))
    assert refused(tmp_path, "@main").got == "0, 2"
    publish(
        hub,
        save(tmp_path / "numbers", dict.fromkeys(("train", "test"), table(pictures(6), LABELS, names=()))),
    )
    assert [each.name for each in opened(tmp_path).manifest.classes] == ["0", "1", "2"]


def test_classes_that_are_no_folder_names_are_numbered(tmp_path: Path, hub: Hub) -> None:
    names = ("tench, Tinca", "a/b", "..")
    publish(hub, save(tmp_path / "odd", dict.fromkeys(("train", "val"), table(pictures(6), LABELS, names))))
    found = opened(tmp_path).manifest.classes
    assert [(each.id, each.name) for each in found] == [("0", names[0]), ("1", names[1]), ("2", names[2])]


def test_folders_of_image_files_are_read_too(tmp_path: Path, hub: Hub) -> None:
    for split in ("train", "test"):
        for number, name in enumerate(("cat", "ape")):
            (tmp_path / "files" / split / name).mkdir(parents=True)
            (tmp_path / "files" / split / name / "a.png").write_bytes(picture(number, "PNG"))
    publish(hub, tmp_path / "files")
    found = opened(tmp_path)
    assert [each.id for each in found.manifest.classes] == ["ape", "cat"]
    assert found.files("train") == ("train/ape/00000000.png", "train/cat/00000001.png")
    root = tmp_path / "data/hf/them/animals" / commit("a")
    assert (root / "train/ape/00000000.png").read_bytes() == picture(1, "PNG")


def test_a_repository_without_a_card_is_read(animals: Path, tmp_path: Path) -> None:
    (animals / "README.md").unlink()
    assert [each.name for each in opened(tmp_path).manifest.classes] == ["zebra", "ape", "tabby cat"]


def test_the_conversion_of_the_hub_has_a_folder_per_configuration(tmp_path: Path, hub: Hub) -> None:
    rows = table(pictures(6), LABELS)
    for config in ("one", "two"):
        for split in ("train", "test"):
            (tmp_path / "converted" / config / split).mkdir(parents=True)
            rows.to_parquet(tmp_path / "converted" / config / split / "0000.parquet")
    publish(hub, tmp_path / "converted", "c")
    hub.newest[REPOSITORY] = commit("a")
    hub.branches[REPOSITORY, CONVERTED] = commit("c")
    assert refused(tmp_path, f"@{CONVERTED}").allowed == "one, two"
    found = opened(tmp_path, f"@{CONVERTED},config=two")
    assert found.manifest.argument == f"them/animals@{commit('c')},config=two"


def test_one_of_several_configurations_is_named(tmp_path: Path, hub: Hub) -> None:
    for number, config in enumerate(("small", "large")):
        rows = [table(pictures(6, first + 100 * number), LABELS) for first in (0, 50)]
        folder = save(tmp_path / "repository", dict(zip(("train", "test"), rows, strict=True)), config)
    publish(hub, folder)
    error = refused(tmp_path)
    assert error.allowed == "small, large" and ",config=NAME" in str(error.fix)
    assert "large" in str(refused(tmp_path, ",config=lage").fix)
    hub.asked.clear()
    opened(tmp_path, ",config=large")
    fetched = [name for name, _ in hub.asked if "parquet" in name]
    assert sorted(fetched) == ["test-00000-of-00001.parquet", "train-00000-of-00001.parquet"]
    files = tmp_path.glob(f"data/hf/them/animals/{commit('a')}-*/train/zebra/00000000.jpg")
    assert [file.read_bytes() for file in files] == [picture(100)]


def two_pictures() -> datasets.Dataset:
    """A table with two columns of images, neither of a usual name."""
    rows = table(pictures(1), [0], columns=("picture", "label"))
    return rows.add_column("other", [None]).cast_column("other", datasets.Image())


@pytest.mark.parametrize(
    ("train", "column"),
    [
        (datasets.Dataset.from_dict({"text": ["a"], "label": [0]}), "image"),
        (two_pictures(), "image"),
        (table(pictures(1), [0], other=["x"]).remove_columns("label"), "label"),
        (table(pictures(2), ["x", "y"], names=()), "label"),
        (table(pictures(1), [0], caption=["x"], text=["y"]), "caption"),
    ],
    ids=["no image", "several images", "no label", "texts as labels", "several captions"],
)
def test_columns_that_are_not_recognised_are_refused(
    train: datasets.Dataset, column: str, tmp_path: Path, hub: Hub
) -> None:
    rewritten(tmp_path, hub, train)
    error = refused(tmp_path)
    assert column in error.what and f",{column}=COLUMN" in str(error.fix)


@pytest.mark.parametrize("label", [-1, None])
def test_a_missing_label_is_refused(label: int | None, tmp_path: Path, hub: Hub) -> None:
    rewritten(tmp_path, hub, table(pictures(3), [0, 1, 2]), table(pictures(3), [0, label, 2]))
    error = refused(tmp_path)
    assert "row 1 of test has no label" in error.what and ",test=SPLIT" in str(error.fix)


def test_a_class_without_images_is_refused(tmp_path: Path, hub: Hub) -> None:
    rewritten(tmp_path, hub, table(pictures(3), [0, 1, 2]), table(pictures(2), [0, 2]))
    error = refused(tmp_path)
    assert "split test" in error.what and error.got == NAMES[1]


def test_rows_without_a_readable_image_are_refused(tmp_path: Path, hub: Hub) -> None:
    good = table(pictures(3), [0, 1, 2])
    for digit, content, text in (("c", b"", "has no image"), ("d", b"GIF89a", "no image of a format")):
        rewritten(tmp_path, hub, table([*pictures(2), content], [0, 1, 2]), good)
        publish(hub, hub.folders[REPOSITORY, commit("b")], digit)
        assert f"row 2 of train {text if digit == 'c' else 'is ' + text}" in refused(tmp_path).what


def test_a_path_outside_of_the_repository_is_not_read(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a"])})
    image = {"bytes": None, "path": str(tmp_path / "secret.jpg")}
    rows = datasets.Dataset.from_dict({"image": [image], "label": [0]}, features=features)
    rows.to_parquet(tmp_path / "rows.parquet")
    folder = save(tmp_path / "other", {"train": table(pictures(1), [0]), "test": table(pictures(1), [0])})
    (tmp_path / "rows.parquet").replace(folder / "data/train-00000-of-00001.parquet")
    publish(hub, folder)
    assert "row 0 of train has no image" in refused(tmp_path).what


def test_a_damaged_image_is_named_when_it_is_opened(tmp_path: Path, hub: Hub) -> None:
    bomb = picture(0, "PNG").replace(
        b"\x00\x00\x00\x0c\x00\x00\x00\x0c", b"\x00\x10\x00\x00\x00\x10\x00\x00", 1
    )
    for digit, content in (("c", picture(0)[:200]), ("d", bomb)):
        rewritten(tmp_path, hub, table([*pictures(2), content], [0, 1, 2]), table(pictures(3), [0, 1, 2]))
        publish(hub, hub.folders[REPOSITORY, commit("b")], digit)
        with pytest.raises(UvlpError) as caught:
            opened(tmp_path, f"@{commit(digit)}")
        assert "00000002" in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_file_is_one_line(animals: Path, tmp_path: Path) -> None:
    next(animals.rglob("train-*")).write_bytes(b"PAR1 is not here")
    assert "datasets" in refused(tmp_path).what


def test_a_repository_without_data_is_refused(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "script").mkdir()
    (tmp_path / "script/animals.py").write_text("raise SystemExit", encoding="utf-8")
    publish(hub, tmp_path / "script")
    assert "refs/convert/parquet" in str(refused(tmp_path).fix)


def test_a_card_cannot_name_files_elsewhere(animals: Path, tmp_path: Path) -> None:
    card = animals / "README.md"
    for path in ("/etc/*", "../x/*", "https://example.org/x.parquet"):
        text = f"---\nconfigs:\n- config_name: default\n  data_files: {path}\n---\n"
        card.write_text(text, encoding="utf-8")
        assert "outside" in refused(tmp_path).what
    card.write_text("---\nconfigs: [\n---\n", encoding="utf-8")
    assert "card" in refused(tmp_path).what


def test_what_the_hub_refuses_is_explained(tmp_path: Path, hub: Hub) -> None:
    assert "no such repository" in refused(tmp_path).what
    hub.refuse[REPOSITORY] = (403, "GatedRepo")
    error = refused(tmp_path)
    assert "permission" in error.what and "HF_TOKEN" in str(error.fix)


def test_without_the_library_nothing_is_fetched(
    animals: Path, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refused(tmp_path).fix == "pip install 'uvlp[hf]'" and not hub.asked


def test_what_was_not_fetched_is_not_opened(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(UvlpError) as caught:
        hf.open_dataset(spec(tmp_path), tmp_path / "cache")
    assert "uvlp fetch hf:them/animals" in str(caught.value.fix)


def test_damaged_records_are_refused(animals: Path, tmp_path: Path) -> None:
    opened(tmp_path)
    base = tmp_path / "data/hf/them/animals"
    for path in (base / commit("a") / ".dataset.json", base / "commits.json"):
        path.write_text("{", encoding="utf-8")
        with pytest.raises(UvlpError) as caught:
            opened(tmp_path)
        assert str(path) in caught.value.what and "delete" in str(caught.value.fix)


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "a/b@", "a/b@../x", "../a", "a/b@x y"])
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(UvlpError) as caught:
        parse(text)
    assert caught.value.allowed == FORM


@pytest.mark.parametrize("choice", ["image", "image=", "label=a,label=b", "lable=x"])
def test_a_wrong_choice_is_refused(choice: str) -> None:
    with pytest.raises(UvlpError):
        parse(f"a/b,{choice}")


def test_an_address_is_written_as_it_is_read() -> None:
    text = f"a/b@{commit('a')},config=c,image=i,label=l,caption=none,train=x,test=y"
    assert parse(text).title == text and parse("a/b").pinned(commit("b")).title == f"a/b@{commit('b')}"
    assert parse("a/b@main").folder_name("c") == "c" != parse("a/b,test=x").folder_name("c")


def test_a_run_fetches_it_first_and_records_its_commit(animals: Path, tmp_path: Path, hub: Hub) -> None:
    store = Store(tmp_path / "store")
    plans = {}
    for text in ("hf:them/animals", f"hf:them/animals@{commit('a')}"):
        request = Request(
            dataset=text,
            ipc=1,
            methods="random",
            profile="nano",
            data=str(tmp_path / "data"),
            store=str(store),
        )
        checked = carry_out.checked(request, resolve(request))
        plan = carry_out.planned(request, checked, store, "tabulate", None)
        plans[text] = carry_out.completed(plan, request, checked, store, None)
        hub.folders.clear()
    first, second = plans.values()
    assert first.complete and first.config["dataset"] == f"hf:them/animals@{commit('a')}"
    assert [task.name for task in first.tasks] == [task.name for task in second.tasks]
    assert first.goal.title.startswith("table hf-them-animals-")
