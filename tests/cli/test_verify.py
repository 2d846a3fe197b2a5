"""`uvlp verify`: what it prints, and the exit code."""

import json
from pathlib import Path

import pytest

from tests.cli.caption_forms import Call
from tests.pipeline.verification.editing import of
from tests.pipeline.verification.ground import fill


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where `call` looks."""
    fill(tmp_path / "store")
    return tmp_path / "store"


def test_a_calm_store_has_a_line_per_check(call: Call, store: Path) -> None:
    code, out, err = call("verify")
    assert code == 0 and not err
    *lines, last = out.splitlines()
    states = {line.split()[0] for line in lines if not line.startswith(" ")}
    assert states == {"ok", "not"} and last.startswith("Nothing wrong; ")


def test_what_does_not_hold_is_printed_and_ends_with_2(call: Call, store: Path) -> None:
    file = of(store, "tables") / "table.md"
    file.write_text("| UVLP | 99.9 |", encoding="utf-8")
    name = f"tables/{file.parent.name}/table.md"
    code, out, err = call("verify")
    assert code == 2 and name in err and len(err.splitlines()) == 1
    assert [line.split()[:2] for line in out.splitlines() if line.startswith("FAIL")] == [["FAIL", "files"]]
    code, out, _ = call("verify", "digits-ipc2", "--json")
    (failed,) = [check for check in json.loads(out)["checks"] if check["findings"]]
    assert code == 2 and failed["state"] == "FAIL" and failed["findings"][0]["file"] == name


def test_no_store_and_no_such_table_are_one_line(call: Call, tmp_path: Path) -> None:
    for words in ((), ("mine",)):
        code, out, err = call("verify", *words)
        assert code == 2 and not out and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [("--rerun", "0"), ("--rerun", "1", "--seed", "x"), ("--data", "")])
def test_wrong_options_are_one_line(call: Call, words: tuple[str, ...]) -> None:
    code, out, err = call("verify", *words)
    assert code == 2 and not out and len(err.splitlines()) == 1
