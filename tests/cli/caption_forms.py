"""Four captioned images in every form in which captions are published, and calls that read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRAIN = ("cat/0.png", "cat/1.png", "dog/0.png", "dog/2.png")
Call = Callable[..., tuple[int, str, str]]


def imported(call: Call, data: Path, *words: str) -> dict[str, str]:
    """Import, and what the store then holds."""
    code, out, err = call("captions", "import", *words, "--dataset", f"folder:{data}", "--json")
    assert code == 0, err
    lines = Path(json.loads(out)["file"]).read_text(encoding="utf-8").splitlines()
    return {row["file_name"]: row["text"] for row in map(json.loads, lines)}


def refused(call: Call, data: Path, *words: str) -> str:
    """The one line that an import ends with."""
    code, out, err = call("captions", "import", *words, "--dataset", f"folder:{data}")
    (line,) = [line for line in err.splitlines() if line.startswith("uvlp:")]
    assert (code, out) == (2, "") and len(line) < 1500, line
    return line


def own(call: Call, data: Path, *words: str) -> tuple[int, str]:
    """The dry run of methods that read captions: exit code, and what it says of captions."""
    command = ("reproduce", f"folder:{data}", "1", "--profile", "nano", "--method", "uvlp", "--dry-run")
    code, out, err = call(*command, *words)
    return code, err


def checked(call: Call, data: Path, *words: str) -> dict[str, Any]:
    code, out, err = call("captions", "check", *words, "--dataset", f"folder:{data}", "--json")
    assert code in (0, 2) and out, err
    found: dict[str, Any] = json.loads(out)
    assert code == (2 if found["images_without_caption"] else 0)
    return found


SAID = {name: f"a photo, {name}" for name in TRAIN}


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def conversation(name: str, text: str, field: str = "image") -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": text}]
    return {"id": name.removesuffix(".png"), field: name, "conversations": turns}


COCO = {
    "info": {"description": "mine"},
    "images": [{"id": number, "file_name": name} for number, name in enumerate(TRAIN)],
    "annotations": [
        {"id": 7 + number, "image_id": number, "caption": SAID[name]} for number, name in enumerate(TRAIN)
    ],
}
KARPATHY = {
    "dataset": "mine",
    "images": [{"filename": name, "split": "train", "captions": [text, "x"]} for name, text in SAID.items()],
}
FORMS: dict[str, str | bytes] = {
    "a.csv": "file_name,text\n" + "".join(f'{name},"{text}"\n' for name, text in SAID.items()),
    "bom.csv": b"\xef\xbb\xbf"
    + "".join(f'"{name}","{text}"\r\n' for name, text in {"file_name": "text", **SAID}.items()).encode(),
    "a.tsv": "image\tcaption\n" + "".join(f"{name}\t{text}\n" for name, text in SAID.items()),
    "semicolons.csv": "file;caption\n" + "".join(f"{name};{text}\n" for name, text in SAID.items()),
    "captions.txt": "image,caption\n" + "".join(f'{name},"{text}"\n' for name, text in SAID.items()),
    "flickr.csv": "image_name| comment_number| comment\n"
    + "".join(f"{name}| 0| {text}\n" for name, text in SAID.items()),
    "capitals.csv": "Image,Caption\n" + "".join(f'{name},"{text}"\n' for name, text in SAID.items()),
    "windows.csv": "file_name,text\n"
    + "".join(f'{name},"{text}"\n'.replace("/", "\\", 1) for name, text in SAID.items()),
    "llava.json": json.dumps([conversation(*pair) for pair in SAID.items()], indent=1),
    "one_line.json": json.dumps([conversation(*pair) for pair in SAID.items()]),
    "named.jsonl": lines([conversation(*pair, field="file_name") for pair in SAID.items()]),
    "field.jsonl": lines([{"image": name, "caption": text} for name, text in SAID.items()]),
    "feature.jsonl": lines([{"file_name": name, "additional_feature": text} for name, text in SAID.items()]),
    "path.jsonl": lines([{"path": name, "prompt": text} for name, text in SAID.items()]),
    "label.jsonl": lines([{"img": name, "label": 3, "title": text} for name, text in SAID.items()]),
    "object.json": json.dumps(SAID),
    "pretty.json": json.dumps(SAID, indent=2),
    "kohya.json": json.dumps({name: {"caption": text} for name, text in SAID.items()}, indent=2),
    "coco.json": json.dumps(COCO),
    "karpathy.json": json.dumps(KARPATHY, indent=1),
    "stems.json": json.dumps({name[:-4]: text for name, text in SAID.items()}),
    "inner.json": json.dumps({"captions": SAID}),
    "ids.json": json.dumps([conversation(*pair, field="x") for pair in SAID.items()]),
    "raw.json": json.dumps(
        {"images": [{"filename": name, "sentences": [{"raw": text}]} for name, text in SAID.items()]}
    ),
    "lines.csv": lines([{"file_name": name, "text": text} for name, text in SAID.items()]),
    "data.json": json.dumps({"data": [{"image": name, "text": text} for name, text in SAID.items()]}),
}
