"""`uvlp captions`: output and exit code."""

from __future__ import annotations

from pathlib import Path

from tests.cli.caption_forms import TEXTS, TRAIN, Call, lines

ROWS = [{"file_name": name, "text": TEXTS[name]} for name in TRAIN[1:]]
UNMATCHED = {"file_name": "x.png", "text": "a dog"}


def test_import_reports_the_use_of_its_rows(call: Call, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(lines([ROWS[0], *ROWS, UNMATCHED]), encoding="utf-8")
    code, out, _ = call("captions", "import", str(file), "--dataset", f"folder:{data}")
    output = out.splitlines()
    assert code == 0 and output[0].startswith(f"3 of 4 training images of folder:{data} now have a caption: ")
    assert output[1:] == [
        "rows read: 5, overridden by another row for the same image: 1",
        "rows that match no image: 1, x.png",
        f"images without a caption (allow them with --missing-captions empty): 1, {TRAIN[0]}",
        "used by --set caption.captioner=file, and by auto",
    ]


def test_check_counts_by_class_and_exits_with_2_if_captions_are_missing(
    call: Call, data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(lines(ROWS), encoding="utf-8")
    code, out, _ = call("captions", "check", str(file), "--dataset", f"folder:{data}")
    table = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    counts = [table[name] for name in ("cat", "dog", "total")]
    assert code == 2
    assert counts == [["2", "1", "0", "0", "0"], ["2", "0", "0", "0", "0"], ["4", "1", "0", "0", "0"]]
    assert out.splitlines()[-1] == f"images without a caption: 1, {TRAIN[0]}"
