"""Four captioned images in every supported caption format, and calls that read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRAIN = ("cat/0.png", "cat/1.png", "dog/0.png", "dog/2.png")
Call = Callable[..., tuple[int, str, str]]


def imported(call: Call, data: Path, *arguments: str) -> dict[str, str]:
    """Import captions and return those that the store then contains."""
    code, out, err = call("captions", "import", *arguments, "--dataset", f"folder:{data}", "--json")
    assert code == 0, err
    lines = Path(json.loads(out)["file"]).read_text(encoding="utf-8").splitlines()
    return {row["file_name"]: row["text"] for row in map(json.loads, lines)}


def refused(call: Call, data: Path, *arguments: str) -> str:
    """Return the error line of an import."""
    code, out, err = call("captions", "import", *arguments, "--dataset", f"folder:{data}")
    (line,) = [line for line in err.splitlines() if line.startswith("uvlp:")]
    assert (code, out) == (2, "") and len(line) < 1500, line
    return line


def own(call: Call, data: Path, *arguments: str) -> tuple[int, str]:
    """Dry-run a method that reads captions; return exit code and standard error."""
    command = ("reproduce", f"folder:{data}", "1", "--profile", "nano", "--method", "uvlp", "--dry-run")
    code, out, err = call(*command, *arguments)
    return code, err


def checked(call: Call, data: Path, *arguments: str) -> dict[str, Any]:
    code, out, err = call("captions", "check", *arguments, "--dataset", f"folder:{data}", "--json")
    assert code in (0, 2) and out, err
    report: dict[str, Any] = json.loads(out)
    assert code == (2 if report["images_without_caption"] else 0)
    return report


TEXTS = {name: f"a photo, {name}" for name in TRAIN}


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def conversation(name: str, text: str, field: str = "image") -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": text}]
    return {"id": name.removesuffix(".png"), field: name, "conversations": turns}


COCO = {
    "info": {"description": "mine"},
    "images": [{"id": number, "file_name": name} for number, name in enumerate(TRAIN)],
    "annotations": [
        {"id": 7 + number, "image_id": number, "caption": TEXTS[name]} for number, name in enumerate(TRAIN)
    ],
}
KARPATHY = {
    "dataset": "mine",
    "images": [{"filename": name, "split": "train", "captions": [text, "x"]} for name, text in TEXTS.items()],
}
FORMS: dict[str, str | bytes] = {
    "a.csv": "file_name,text\n" + "".join(f'{name},"{text}"\n' for name, text in TEXTS.items()),
    "bom.csv": b"\xef\xbb\xbf"
    + "".join(f'"{name}","{text}"\r\n' for name, text in {"file_name": "text", **TEXTS}.items()).encode(),
    "a.tsv": "image\tcaption\n" + "".join(f"{name}\t{text}\n" for name, text in TEXTS.items()),
    "semicolons.csv": "file;caption\n" + "".join(f"{name};{text}\n" for name, text in TEXTS.items()),
    "captions.txt": "image,caption\n" + "".join(f'{name},"{text}"\n' for name, text in TEXTS.items()),
    "flickr.csv": "image_name| comment_number| comment\n"
    + "".join(f"{name}| 0| {text}\n" for name, text in TEXTS.items()),
    "capitals.csv": "Image,Caption\n" + "".join(f'{name},"{text}"\n' for name, text in TEXTS.items()),
    "windows.csv": "file_name,text\n"
    + "".join(f'{name},"{text}"\n'.replace("/", "\\", 1) for name, text in TEXTS.items()),
    "llava.json": json.dumps([conversation(*pair) for pair in TEXTS.items()], indent=1),
    "one_line.json": json.dumps([conversation(*pair) for pair in TEXTS.items()]),
    "named.jsonl": lines([conversation(*pair, field="file_name") for pair in TEXTS.items()]),
    "field.jsonl": lines([{"image": name, "caption": text} for name, text in TEXTS.items()]),
    "feature.jsonl": lines([{"file_name": name, "additional_feature": text} for name, text in TEXTS.items()]),
    "path.jsonl": lines([{"path": name, "prompt": text} for name, text in TEXTS.items()]),
    "label.jsonl": lines([{"img": name, "label": 3, "title": text} for name, text in TEXTS.items()]),
    "object.json": json.dumps(TEXTS),
    "pretty.json": json.dumps(TEXTS, indent=2),
    "kohya.json": json.dumps({name: {"caption": text} for name, text in TEXTS.items()}, indent=2),
    "coco.json": json.dumps(COCO),
    "karpathy.json": json.dumps(KARPATHY, indent=1),
    "stems.json": json.dumps({name[:-4]: text for name, text in TEXTS.items()}),
    "inner.json": json.dumps({"captions": TEXTS}),
    "ids.json": json.dumps([conversation(*pair, field="x") for pair in TEXTS.items()]),
    "raw.json": json.dumps(
        {"images": [{"filename": name, "sentences": [{"raw": text}]} for name, text in TEXTS.items()]}
    ),
    "lines.csv": lines([{"file_name": name, "text": text} for name, text in TEXTS.items()]),
    "data.json": json.dumps({"data": [{"image": name, "text": text} for name, text in TEXTS.items()]}),
}
