"""`uvlp fetch`: what is printed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.caption_forms import Call


def test_what_is_here_is_printed_with_its_hash(call: Call) -> None:
    code, out, err = call("fetch", "digits", "--json")
    found = json.loads(out)
    (row,) = found["here"]
    assert code == 0 and found["fetched"] == [] and not err
    assert call("fetch", "digits") == (0, f"digits: {Path(row['place'])}  sha256 {row['sha256']}\n", "")
