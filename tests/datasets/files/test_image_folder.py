"""Image folders of users: names in two Unicode forms, and leftovers of operating systems."""

import json
import sys
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.stored_tables import put_table
from uvlp.cli import app
from uvlp.core.files.unicode_form import DIFFERENT

CAFE = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
DECOMPOSED = unicodedata.normalize("NFD", CAFE)


class Answer(NamedTuple):
    code: int
    out: str
    notes: list[str]
    error: str


class Call:
    """Runs the command line in this process, with its own store."""

    def __init__(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._store, self._patch, self._capsys = tmp_path / "store", monkeypatch, capsys

    def __call__(self, *arguments: object) -> Answer:
        own = () if "--store" in arguments else ("--store", str(self._store))
        self._patch.setattr(sys, "argv", ["uvlp", *map(str, arguments), *own])
        with pytest.raises(SystemExit) as end:
            app.main()
        out, err = self._capsys.readouterr()
        lines = err.splitlines()
        return Answer(
            int(end.value.code or 0),
            out,
            [line for line in lines if line.startswith("note")],
            "\n".join(line for line in lines if line.startswith("uvlp:")),
        )

    def reproduce(self, dataset: Path, *options: str) -> Answer:
        nano = ("--profile", "nano", "--method", "random", "--dry-run")
        return self("reproduce", f"folder:{dataset}", "1", *nano, *options)

    def evaluate(self, folder: Path, dataset: Path, *options: str) -> Answer:
        nano = ("--profile", "nano", "--no-random", "--dry-run")
        return self("evaluate", folder, "--dataset", f"folder:{dataset}", *nano, *options)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    return Call(tmp_path, monkeypatch, capsys)


def draw(path: Path, seed: int = 0, side_px: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")


def dataset(root: Path, *classes: str, val: tuple[str, ...] = ()) -> Path:
    for split, names in (("train", classes), ("val", val or classes)):
        for label, name in enumerate(names):
            for index in range(2):
                draw(root / split / name / f"{index}.png", 10 * label + index + 100 * (split == "val"))
    return root


def artifacts(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.error
    return [line for line in answer.out.splitlines() if line.startswith("make")]


def before_table(answer: Answer) -> list[str]:
    """The planned artifacts except the table, which is named after the folder."""
    return [line for line in artifacts(answer) if " tables/" not in line]


def test_both_unicode_forms_give_the_same_dataset(call: Call, tmp_path: Path) -> None:
    composed = call.reproduce(dataset(tmp_path / "composed", CAFE, "dog"))
    decomposed = call.reproduce(dataset(tmp_path / "decomposed", DECOMPOSED, "dog"))
    mixed = call.reproduce(dataset(tmp_path / "mixed", CAFE, "dog", val=(DECOMPOSED, "dog")))
    assert before_table(composed) == before_table(decomposed) == before_table(mixed)
    assert composed.notes == decomposed.notes == []
    assert len(mixed.notes) == 1 and DIFFERENT in mixed.notes[0]


def test_class_folders_of_an_evaluated_folder_match_in_either_form(call: Call, tmp_path: Path) -> None:
    known = dataset(tmp_path / "known", CAFE, "dog")
    same, other = (dataset(tmp_path / name, cafe, "dog") for name, cafe in (("a", CAFE), ("b", DECOMPOSED)))
    plain, odd = call.evaluate(same / "train", known), call.evaluate(other / "train", known)
    assert plain.notes == [] and len(odd.notes) == 1 and DIFFERENT in odd.notes[0]
    keys = [[line.split()[1] for line in artifacts(answer)][:-1] for answer in (plain, odd)]
    assert keys[0][0] == keys[1][0]


def test_captions_match_images_in_the_other_form(call: Call, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", DECOMPOSED, "dog")
    rows = [{"file_name": f"{name}/{i}.png", "text": "a"} for name in (CAFE, "dog") for i in range(2)]
    file = tmp_path / "captions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = call("captions", "import", file, "--dataset", f"folder:{root}", "--json")
    assert answer.code == 0
    counts = json.loads(answer.out)
    assert (counts["captions"], counts["without_image"], counts["without_caption"]) == (4, 0, 0)
    (root / "train" / "metadata.jsonl").write_bytes(file.read_bytes())
    (root / "classes.tsv").write_text(f"{CAFE}\ta caf\ndog\ta dog\n", encoding="utf-8")
    assert artifacts(call.reproduce(root))  # reads the dataset's own captions


@pytest.mark.parametrize("name", ["train/{}/0.png", "train/dog/{}.png"])
def test_two_names_that_look_the_same_are_refused(name: str, call: Call, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", "cat", "dog")
    for seed, form in enumerate((CAFE, DECOMPOSED)):
        draw(root / name.format(form), seed)
    answer = call.reproduce(root)
    assert answer.code == 2
    assert DIFFERENT in answer.error and "(NFC)" in answer.error and "(NFD)" in answer.error


def test_a_path_in_the_other_form_is_suggested(call: Call, tmp_path: Path) -> None:
    dataset(tmp_path / DECOMPOSED, "cat", "dog")
    answer = call.reproduce(tmp_path / CAFE)
    assert answer.code == 2 and f"did you mean {tmp_path / DECOMPOSED}" in answer.error


def test_tables_and_methods_are_found_in_either_form(call: Call, tmp_path: Path) -> None:
    """Earlier versions stored the form of the folder's name."""
    for form, ipc in ((CAFE, 1), (DECOMPOSED, 2)):
        put_table(tmp_path / "store", f"{form}-ipc{ipc}", ("random", form))
        for options in ((), ("--against", CAFE), ("--against", DECOMPOSED)):
            both = [call("table", f"{typed}-ipc{ipc}", *options) for typed in (CAFE, DECOMPOSED)]
            assert both[0] == both[1] and both[0].code == 0, both[0].error
        assert f"{CAFE}-ipc{ipc}" in call("list", "tables").out
    assert call("table", "cafe-ipc1").code == call("table", f"{CAFE}-ipc1", "--against", "cafe").code == 2


def test_a_dataset_has_the_same_name_in_either_form(call: Call, tmp_path: Path) -> None:
    trees = [
        dataset(tmp_path / above / name, "cat", "dog") for above, name in (("a", CAFE), ("b", DECOMPOSED))
    ]
    composed, decomposed = (artifacts(call.reproduce(tree)) for tree in trees)
    assert composed == decomposed and f"folder-{CAFE}-" in composed[-1]


def test_a_user_note_is_the_same_in_either_form(call: Call, tmp_path: Path) -> None:
    tree = dataset(tmp_path / "set", "cat", "dog")
    one, other = (artifacts(call.reproduce(tree, "--set", f"note={text}")) for text in (CAFE, DECOMPOSED))
    assert one == other


@pytest.mark.parametrize("option", ["--store", "--data"])
def test_no_store_is_created_beside_one_in_the_other_form(call: Call, tmp_path: Path, option: str) -> None:
    (tmp_path / DECOMPOSED).mkdir()
    command = {"--store": ("list", "tables"), "--data": ("reproduce", "imagenette", "10", "--offline")}[
        option
    ]
    answer = call(*command, option, tmp_path / CAFE)
    assert answer.code == 2 and f"did you mean {tmp_path / DECOMPOSED}" in answer.error
    assert DIFFERENT in answer.error and not (tmp_path / CAFE).exists()


@pytest.mark.parametrize(("stored", "typed"), [(CAFE, DECOMPOSED), (DECOMPOSED, CAFE)])
def test_a_caption_field_is_found_in_either_form(call: Call, tmp_path: Path, stored: str, typed: str) -> None:
    tree = dataset(tmp_path / "set", "cat")
    rows = [json.dumps({"file_name": f"cat/{index}.png", stored: "a cat"}) + "\n" for index in range(2)]
    (tmp_path / "rows.jsonl").write_text("".join(rows), encoding="utf-8")
    command = (
        "captions",
        "import",
        tmp_path / "rows.jsonl",
        "--dataset",
        f"folder:{tree}",
        "--caption-field",
    )
    assert call(*command, typed).code == 0
    assert call(*command, "cafe").code == 2


def test_classes_that_differ_only_in_case_are_noted(call: Call, tmp_path: Path) -> None:
    notes = call.reproduce(dataset(tmp_path / "set", "Cat", "cat")).notes
    assert len(notes) == 1 and "only in case" in notes[0] and "Cat, cat" in notes[0]


LEFT_IN_CLASS = (
    *("@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", ".ipynb_checkpoints/0-checkpoint.png", "._0.png", ".DS_Store"),
    *("Thumbs.db", "desktop.ini", "0.png~", "0.png.tmp", ".nfs0000a", "Icon\r", ".@__thumb/0.png"),
)
LEFT_BESIDE = (
    *("__MACOSX/cat/._0.png", "#recycle/0.png", "$RECYCLE.BIN/0.png", "System Volume Information/a.png"),
    *("lost+found/0.png", ".git/0.png", ".Trash-1000/0.png", "@Recycle/0.png", ".Spotlight-V100/0.png"),
    *("Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir/cat/0.png", ".fseventsd/0.png", "x.tmp"),
)


def test_leftovers_of_operating_systems_are_skipped_and_counted(call: Call, tmp_path: Path) -> None:
    clean = dataset(tmp_path / "clean", "cat", "dog")
    littered = dataset(tmp_path / "littered", "cat", "dog")
    for split in ("train", "val"):
        for seed, name in enumerate((*LEFT_BESIDE, *(f"cat/{name}" for name in LEFT_IN_CLASS))):
            draw(littered / split / name, seed)
    expected = call.reproduce(clean)
    answer = call.reproduce(littered)
    assert before_table(answer) == before_table(expected)
    count = 2 * (len(LEFT_BESIDE) + len(LEFT_IN_CLASS))
    assert len(answer.notes) == 1 and f"{count} files were skipped" in answer.notes[0]
    scored, plain = (call.evaluate(root / "train", clean) for root in (littered, clean))
    assert [line.split()[1] for line in artifacts(scored)][0] == artifacts(plain)[0].split()[1]
    assert len(scored.notes) == 1 and f"{count // 2} files were skipped" in scored.notes[0]


def test_no_class_of_the_published_datasets_is_skipped() -> None:
    from uvlp.datasets.files.class_lists import FOLDER
    from uvlp.datasets.files.folder_remarks import is_leftover

    names = {
        name.strip()
        for file in FOLDER.glob("*.tsv")
        for line in file.read_text(encoding="utf-8").splitlines()
        for name in (*line.split("\t"), *line.partition("\t")[2].split(","))
    }
    assert len(names) > 1000
    assert [name for name in names if is_leftover(name, folder=True)] == []


@pytest.mark.parametrize(
    "name", ["tmp", "git", "Thumbs", "recycle", "core", "lost", "a~", "x.tmp", "~$x", "icon"]
)
def test_ordinary_words_are_valid_class_names(name: str, call: Call, tmp_path: Path) -> None:
    answer = call.reproduce(dataset(tmp_path / "set", "cat", name))
    assert answer.code == 0 and answer.notes == []


def test_images_in_subfolders_of_a_class_are_used_and_noted(call: Call, tmp_path: Path) -> None:
    root = dataset(tmp_path / "set", "cat", "dog")
    draw(root / "train/cat/more/0.png", 7)
    notes = call.reproduce(root).notes
    assert (
        len(notes) == 1 and "1 image is in a folder below its class folder: train/cat/more/0.png" in notes[0]
    )
