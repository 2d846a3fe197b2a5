"""Attacks with caption files: every format, damaged in every way (C, E, cases 01, 09, 10, 11)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.attack.ground import FOLDER, Attack, Expected, Outcome, call, done, refused
from tests.flipping import flip

IMPORT = ("captions", "import", "mine/c.jsonl", "--dataset", "folder:images", "--store", "new")
CAPTION = ("caption", *FOLDER[1:5], "--method", "vlcp", "--workers", "1", "--store", "new")
NAMES = [f"{name}/{index}.png" for name in ("cat", "dog", "emu") for index in range(4)]


def rows(text: str = "a photo", names: list[str] | None = None) -> bytes:
    """A valid caption file with one text."""
    lines = [json.dumps({"file_name": name, "text": text}, ensure_ascii=False) for name in names or NAMES]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def line(**fields: object) -> bytes:
    """A valid file with an additional first line."""
    return json.dumps(fields).encode() + b"\n" + rows()


TEXTS = {
    "a line separator": "one\u2028two",
    "a paragraph separator": "one\u2029two",
    "a next line": "one\x85two",
    "a form feed": "one\x0ctwo",
    "file separators": "one\x1c\x1d\x1etwo",
    "nothing but blanks": "   ",
    "a million letters": "a" * 1_000_000,
    "an escape": "\x1b[2J",
    "a null": "a\x00b",
    "a right-to-left mark": "\u202egnp.exe",
    "emoji": "🐈" * 50,
    "LaTeX": "\\input{/etc/passwd} $x$ % &",
    "a placeholder": "{0} %s ${HOME}",
}
REFUSED_TEXTS = {
    "nothing but blanks": refused("no caption in these files"),
    "a million letters": refused("line 1 is too long"),
}
CONTENTS: dict[str, tuple[bytes, Expected]] = {
    "empty": (b"", refused()),
    "blank lines": (b"\n\n\n" + rows() + b"\n\n", done()),
    "Windows line ends": (rows().replace(b"\n", b"\r\n"), done()),
    "a byte order mark": (b"\xef\xbb\xbf" + rows(), done()),
    "UTF-16": (rows().decode().encode("utf-16"), refused("UTF-16")),
    "Latin-1": (rows("é").decode().encode("latin-1"), refused("c.jsonl")),
    "no line end": (rows()[:-1], done()),
    "a cut last line": (rows()[:-9], refused("12")),
    "old Mac line ends": (rows().replace(b"\n", b"\r"), refused("line 1")),
    "half a surrogate": (b'{"file_name": "cat/0.png", "text": "\\ud800"}\n', refused("lone surrogate")),
    "not a number": (b'{"file_name": "cat/0.png", "text": NaN}\n', refused("1")),
    "a text that is null": (line(file_name="cat/0.png", text=None), refused("1")),
    "a text that is a list": (
        line(file_name="cat/0.png", text=["a"]),
        done("overridden by another row for the same image: 1"),
    ),
    "a text that is a number": (line(file_name="cat/0.png", text=5), refused("1")),
    "a name that is null": (line(file_name=None, text="a"), refused("1")),
    "a name that is an object": (line(file_name={}, text="a"), refused("1")),
    "no text": (line(file_name="cat/0.png"), refused("1")),
    "no name": (line(text="a"), refused("1")),
    "a list of nothing": (b"[]", refused()),
    "a list of numbers": (b"[1, 2]", refused()),
    "a list of lists": (b"[[[]]]", refused()),
    "null": (b"null\n", refused()),
    "an object of 800 keys": (
        json.dumps({f"k{number}": "v" * 50 for number in range(800)}).encode() + b"\n",
        refused(),
    ),
    "an object of one key": (b'{"a": 1}\n', refused()),
    "a hundred thousand brackets": (b"[" * 100_000, refused()),
    "a hundred thousand objects": (b'{"a":' * 100_000, refused()),
    "deep in a row": (
        b'{"file_name": "cat/0.png", "text": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n",
        refused(),
    ),
    "a number of many digits": (
        b'{"file_name": "cat/0.png", "text": "a", "n": ' + b"9" * 10_000 + b"}\n" + rows(),
        refused("line 1"),
    ),
    "a list of rows": (json.dumps([json.loads(each) for each in rows().splitlines()]).encode(), done()),
    "rows of spreadsheets": (b"file_name,text\ncat/0.png,a cat\n", done("1 of 12")),
    "names above the folder": (
        line(file_name="../../mine/thesis.txt", text="a"),
        done("12 of 12", "that match no image: 1"),
    ),
    "a whole path": (
        line(file_name="/etc/passwd", text="a"),
        done("12 of 12", "that match no image: 1"),
    ),
    "a path with train": (rows(names=[f"train/{name}" for name in NAMES]), done("12 of 12")),
    "paths of Windows": (rows(names=[name.replace("/", "\\\\") for name in NAMES]), done("12 of 12")),
    "names alone": (rows(names=[name.split("/")[1] for name in NAMES]), refused("no caption in these files")),
    "one image twice": (
        rows() + b'{"file_name": "cat/0.png", "text": "another"}\n',
        done("overridden by another row for the same image: 1"),
    ),
    "images of others": (rows(names=["fox/1.png"]), refused()),
    "an archive": (b"\x1f\x8b\x08" + bytes(range(256)), refused()),
    "a page": (b"<!DOCTYPE html><html></html>", refused()),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", refused()),
    "nulls": (bytes(10_000), refused()),
    "one line of 20 MB": (
        b'{"file_name": "cat/0.png", "text": "' + b"a" * 20_000_000 + b'"}\n',
        done("1 of 12"),
    ),
}


def _write(content: bytes, name: str = "mine/c.jsonl") -> Callable[[Path], None]:
    def prepare(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return prepare


def contents() -> list[Attack]:
    """Caption files to import."""
    return [
        Attack(
            kind="C" if "separator" in name else "D4",
            name=f"captions are {name}",
            call=IMPORT,
            prepare=_write(content),
            expected=expected,
            needs=("images",),
        )
        for name, (content, expected) in CONTENTS.items()
    ]


def _import_and_use(attack: Attack, root: Path) -> Outcome:
    """Import, then caption; the second file has every text unchanged."""
    first = call(attack, root)
    if first.code != 0:
        return first
    made = Attack(kind="", name="", call=(*CAPTION, "--set", "caption.captioner=file"), expected=done())
    outcome = call(made, root)
    if outcome.code != 0:
        return Outcome(1, outcome.out, f"imported, and not usable: {outcome.err}")
    (stored,) = (root / "new" / "captions").glob("*/metadata.jsonl")
    lines = [each for each in stored.read_text(encoding="utf-8").split("\n") if each]
    found = [json.loads(each)["text"] for each in lines]
    expected = json.loads((root / "mine" / "c.jsonl").read_text(encoding="utf-8").split("\n")[0])["text"]
    same = len(found) == len(NAMES) and all(text.split() == expected.split() for text in found)
    return outcome if same else Outcome(3, "", f"other texts: {found[:2]!r:.200} for {expected!r:.100}")


def texts() -> list[Attack]:
    """Texts of every kind pass through import and stage unchanged, or are refused at once."""
    return [
        Attack(
            kind="C",
            name=f"a caption with {name}",
            call=IMPORT,
            prepare=_write(rows(text)),
            expected=REFUSED_TEXTS.get(name, done("captions")),
            run=_import_and_use,
            needs=("images",),
        )
        for name, text in TEXTS.items()
    ]


def places() -> list[Attack]:
    """Captions next to the images in common formats and locations: read, or refused with the name.

    Most have one caption, so that the message with the number of missing captions shows that it was read.
    """
    most_lack, all_lack = (refused(f"{count} of 12 training images have no caption") for count in (11, 12))
    cases = {
        "a CSV in train": (
            "images/train/metadata.csv",
            b"file_name,text\ncat/0.png,a cat\n",
            most_lack,
        ),
        "a CSV in the root": (
            "images/metadata.csv",
            b"file_name,text\ntrain/cat/0.png,a cat\n",
            most_lack,
        ),
        "lines in a class": (
            "images/train/cat/metadata.jsonl",
            b'{"file_name": "0.png", "text": "a cat"}\n',
            most_lack,
        ),
        "a CSV in a class": (
            "images/train/cat/metadata.csv",
            b"file_name,text\n0.png,a cat\n",
            most_lack,
        ),
        "a parquet file": ("images/train/metadata.parquet", b"PAR1" + bytes(20), refused("Parquet")),
        "captions.json": (
            "images/captions.json",
            b'[{"image": "cat/0.png", "caption": "a cat"}]',
            refused("captions.json"),
        ),
        "a text beside an image": ("images/train/cat/0.txt", b"a cat", most_lack),
        "broken lines": ("images/train/metadata.jsonl", b'{"file_name": ', refused("line 1")),
        "an empty file": ("images/train/metadata.jsonl", b"", all_lack),
        "lines in val": (
            "images/val/metadata.jsonl",
            b'{"file_name": "cat/0.png", "text": "a cat"}\n',
            done("caption"),
        ),
    }
    return [
        Attack(
            kind="case 09",
            name=f"captions as {name}",
            call=(*CAPTION, "--dry-run"),
            prepare=_write(content, place),
            expected=expected,
            needs=("images",),
        )
        for name, (place, content, expected) in cases.items()
    ]


def questions() -> list[Attack]:
    """Answers of LLaVA with their questions."""

    def lay(questions: list[dict[str, object]], answers: list[dict[str, object]]) -> Callable[[Path], None]:
        def prepare(root: Path) -> None:
            for name, entries in (("q.jsonl", questions), ("c.jsonl", answers)):
                text = "".join(json.dumps(each) + "\n" for each in entries)
                (root / "mine" / name).write_text(text, encoding="utf-8")

        return prepare

    asked = [{"question_id": number, "image": name, "text": "Describe"} for number, name in enumerate(NAMES)]
    answered = [
        {"question_id": number, "text": f"answer {number}", "answer_id": "a"} for number in range(len(NAMES))
    ]
    cases = {
        "right": (asked, answered, done()),
        "ids that restart": (
            asked[:6] + [{**each, "question_id": number} for number, each in enumerate(asked[6:])],
            answered[:6],
            refused("question id"),
        ),
        "an id asked twice of one image": (asked + [asked[0]], answered, done("12 of 12")),
        "an answer to no question": (
            asked[:3],
            answered,
            done("3 of 12", "that match no image: 9"),
        ),
        "ids as texts": (
            [{**each, "question_id": str(number)} for number, each in enumerate(asked)],
            answered,
            done("12 of 12"),
        ),
        "an id that is null": ([{**asked[0], "question_id": None}, *asked[1:]], answered, refused()),
        "an id that is a list": ([{**asked[0], "question_id": []}, *asked[1:]], answered, refused()),
        "an image that is null": ([{**asked[0], "image": None}, *asked[1:]], answered, refused()),
        "two answers to one question": (
            asked,
            answered + [{**answered[0], "text": "other"}],
            refused("question id"),
        ),
        "no questions": ([], answered, refused()),
        "no answers": (asked, [], refused()),
    }
    return [
        Attack(
            kind="case 01",
            name=f"questions: {name}",
            call=(*IMPORT, "--questions", "mine/q.jsonl"),
            prepare=lay(asked_, answered_),
            expected=expected,
            needs=("images",),
        )
        for name, (asked_, answered_, expected) in cases.items()
    ]


def _of_500_mb(name: str, begin: bytes) -> Callable[[Path], None]:
    """A sparse file, outside the folders hashed for every attack."""

    def prepare(root: Path) -> None:
        _write(begin, name)(root)
        os.truncate(root / name, 500_000_000)

    return prepare


def sizes() -> list[Attack]:
    """Files larger than memory; lines are read one by one, until the first invalid one."""
    whole = refused("500.0 MB", "at most 400.0 MB", "one JSON object per line")
    cases = {
        "a list": ("c.json", b'[{"file_name": "cat/0.png", "text": "a cat"}', whole),
        "an object": ("c.json", b'{\n"cat/0.png": "a cat",\n', whole),
        "a table": ("c.csv", b"file_name,text\ncat/0.png,a cat\n", whole),
        "lines": ("c.jsonl", rows(), refused("line 13 is too long")),
    }
    return [
        Attack(
            kind="E3",
            name=f"captions are {name} of 500 MB",
            call=(*IMPORT[:2], file, *IMPORT[3:]),
            prepare=_of_500_mb(file, begin),
            expected=expected,
            needs=("images",),
        )
        for name, (file, begin, expected) in cases.items()
    ]


def _import_and_flip(then: Sequence[str]) -> Callable[[Attack, Path], Outcome]:
    """Import, flip a bit of a caption in the store, and run a command that reads them."""

    def run(attack: Attack, root: Path) -> Outcome:
        first = call(attack, root)
        flip(min((root / "new" / "imported").glob("*.jsonl")), 0.1)
        used = Attack(kind="", name="", call=then, expected=attack.expected)
        return call(used, root) if first.code == 0 else first

    return run


def imported() -> list[Attack]:
    """Imported captions are an input in the store, verified like artifacts."""
    readers: dict[str, Sequence[str]] = {
        "caption": (*CAPTION, "--set", "caption.captioner=file"),
        "check": ("captions", "check", *IMPORT[3:]),
        "another import": IMPORT,
    }
    return [
        Attack(
            kind="flipped",
            name=f"imported captions flipped, then {reader}",
            call=IMPORT,
            prepare=_write(rows()),
            expected=refused("new/imported/", "import again"),
            run=_import_and_flip(then),
            needs=("images",),
        )
        for reader, then in readers.items()
    ]


ATTACKS = [*contents(), *texts(), *places(), *questions(), *sizes(), *imported()]
