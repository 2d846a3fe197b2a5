"""An archive of results passes `uvlp verify` where it is unpacked, and is written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import tarfile
from pathlib import Path

import pytest

from tests.stored_tables import put_table
from uvlp.artifacts.store import Store
from uvlp.core.errors import UvlpError
from uvlp.exchange.results_archive import pack


def refused(names: list[str], store: Path, out: Path) -> UvlpError:
    before = {path: path.read_bytes() for path in out.parent.glob("*") if path.is_file()}
    with pytest.raises(UvlpError) as caught:
        pack(names, Store(store), out)
    assert {path: path.read_bytes() for path in out.parent.glob("*") if path.is_file()} == before
    return caught.value


def members(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
    assert all(entry.isfile() and not entry.uname and entry.mtime == 0 for entry in entries)
    return {entry.name for entry in entries}


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_tables_and_their_scores_are_packed(ending: str, tmp_path: Path) -> None:
    table, scores = put_table(tmp_path / "store")
    packed = pack([], Store(tmp_path / "store"), tmp_path / f"results{ending}")
    assert packed.tables == ("digits-ipc10",) and len(packed.artifacts) == 1 + len(scores)
    assert packed.sha256 == hashlib.sha256(packed.file.read_bytes()).hexdigest()
    names = members(packed.file)
    assert (
        f"uvlp-results/tables/{table.name}/manifest.json" in names and "uvlp-results/uvlp_store.json" in names
    )
    assert {name.split("/")[2] for name in names if "/scores/" in name} == {path.name for path in scores}


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    put_table(tmp_path / "store")
    store = Store(tmp_path / "store")
    one, other = (pack([], store, tmp_path / f"{name}.tar.gz") for name in ("one", "other"))
    assert one.sha256 == other.sha256
    assert pack([], store, tmp_path / "one.tar.gz") == one, "the same archive may be there"


def test_chosen_tables_alone(tmp_path: Path) -> None:
    table, scores = put_table(tmp_path / "store")
    put_table(tmp_path / "store", "digits-ipc50", methods=("random", "dm"))
    packed = pack(["digits-ipc10", table.name], Store(tmp_path / "store"), tmp_path / "r.tar")
    assert packed.tables == ("digits-ipc10",)
    assert {name.split("/")[2] for name in members(packed.file) if "/scores/" in name} == {
        path.name for path in scores
    }


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused([], tmp_path / "none", tmp_path / "r.tar").got == str(tmp_path / "none")
    put_table(tmp_path / "store")
    assert "'digits-ipc10'" in str(refused(["digits-ipc1"], tmp_path / "store", tmp_path / "r.tar").fix)
    assert refused([], tmp_path / "store", tmp_path / "r.rar").got == "r.rar"


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    put_table(tmp_path / "store")
    for content in (b"mine", b""):
        (tmp_path / "r.tar").write_bytes(content)
        assert refused([], tmp_path / "store", tmp_path / "r.tar").got == str(tmp_path / "r.tar")
    pack([], Store(tmp_path / "store"), tmp_path / "s.tar")
    put_table(tmp_path / "store", "digits-ipc50")
    assert refused([], tmp_path / "store", tmp_path / "s.tar").got == str(tmp_path / "s.tar")


def test_damaged_and_missing_scores_are_refused(tmp_path: Path) -> None:
    _, scores = put_table(tmp_path / "store")
    file = scores[0] / "score.json"
    content = file.read_bytes()
    file.write_bytes(content + b" ")
    assert "score.json" in refused([], tmp_path / "store", tmp_path / "r.tar").what
    file.write_bytes(content)
    (scores[1] / "manifest.json").unlink()
    assert f"scores/{scores[1].name}" in refused([], tmp_path / "store", tmp_path / "r.tar").what


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_table(tmp_path / "store")

    def full(self: tarfile.TarFile, entry: tarfile.TarInfo, content: object = None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    error = refused([], tmp_path / "store", tmp_path / "out" / "r.tar")
    assert "No space left" in error.what and not [*(tmp_path / "out").iterdir()]
