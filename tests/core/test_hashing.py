"""Hashes are pinned, and files are hashed again exactly when they may have changed."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from uvlp.core import hashing
from uvlp.core.hashing import CLOCK_TICK_NS, HashCache, canonical_json, digest, file_sha256


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content is read, in order."""
    names: list[str] = []

    def recording(path: Path) -> str:
        names.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(hashing, "file_sha256", recording)
    return names


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is old enough to be cached."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    time.sleep(2 * CLOCK_TICK_NS / 1e9)
    return path


def test_file_hash_is_sha256_of_its_bytes(file: Path) -> None:
    assert file_sha256(file) == hashlib.sha256(b"abc").hexdigest()


def test_canonical_json_sorts_keys_and_keeps_non_ascii() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'


def test_digest_of_a_value_is_pinned() -> None:
    assert digest({"b": 1, "a": "é"}) == digest({"a": "é", "b": 1})
    assert digest({"b": 1, "a": "é"}) == hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_value_without_json_form_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        digest({"loss": float("nan")})


def test_unchanged_file_is_read_once(file: Path, tmp_path: Path, reads: list[str]) -> None:
    cache = HashCache(tmp_path / "cache.json")
    first = cache.sha256(file)
    cache.save()
    assert HashCache(tmp_path / "cache.json").sha256(file) == first
    assert reads == ["a.bin"]


def test_file_overwritten_with_its_old_modification_time_is_read_again(file: Path, tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "cache.json")
    before, times = cache.sha256(file), file.stat()
    file.write_bytes(b"abd")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.sha256(file) == hashlib.sha256(b"abd").hexdigest() != before


def test_recently_written_file_is_not_cached(tmp_path: Path, reads: list[str]) -> None:
    path, cache = tmp_path / "new.bin", HashCache(tmp_path / "cache.json")
    path.write_bytes(b"abc")
    cache.sha256(path)
    cache.sha256(path)
    assert reads == ["new.bin", "new.bin"]


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"a": 3}', b"\xff\xfe"])
def test_damaged_cache_is_ignored_and_replaced(damage: bytes, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    path.write_bytes(damage)
    cache = HashCache(path)
    assert cache.sha256(file) == hashlib.sha256(b"abc").hexdigest()
    cache.save()
    assert list(json.loads(path.read_text())["content"]) == [str(file)]


def test_saving_creates_the_folder_and_leaves_no_other_files(file: Path, tmp_path: Path) -> None:
    cache = HashCache(tmp_path / "store" / "cache.json")
    cache.sha256(file)
    cache.save()
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["cache.json"]


def test_unchanged_cache_is_not_written(tmp_path: Path) -> None:
    HashCache(tmp_path / "cache.json").save()
    assert not (tmp_path / "cache.json").exists()
