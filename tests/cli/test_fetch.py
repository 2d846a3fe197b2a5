"""`uvlp fetch`: output."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.caption_forms import Call


def test_present_files_are_printed_with_their_hash(call: Call) -> None:
    code, out, err = call("fetch", "digits", "--json")
    result = json.loads(out)
    (row,) = result["here"]
    assert code == 0 and result["fetched"] == [] and not err
    assert call("fetch", "digits") == (0, f"digits: {Path(row['place'])}  sha256 {row['sha256']}\n", "")
