"""Downloads: whole, resumed, started again, refused."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.datasets.files.file_server import FileServer, serving
from uvlp.core.errors import UvlpError
from uvlp.core.progress import Event, Progress
from uvlp.datasets.files import download

CONTENT = bytes(range(256)) * 12_000  # three blocks


@pytest.fixture(autouse=True)
def directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as state:
        state.files["set.tgz"] = CONTENT
        yield state


def fetch(server: FileServer, target: Path, progress: Progress | None = None) -> bytes:
    download.download(f"{server.url}/{target.name}", target, progress or Progress())
    return target.read_bytes()


def test_a_file_arrives_whole_and_progress_counts_megabytes(server: FileServer, tmp_path: Path) -> None:
    events: list[Event] = []
    assert fetch(server, tmp_path / "set.tgz", Progress(events.append)) == CONTENT
    assert events[-1] == Event("download set.tgz, MB", 3, 3)
    assert os.listdir(tmp_path) == ["set.tgz"]
    assert server.requests == [None]


def test_a_broken_connection_is_taken_up_where_it_ended(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [1000, 500_000]
    assert fetch(server, tmp_path / "set.tgz") == CONTENT
    assert server.requests == [None, "bytes=1000-", "bytes=501000-"]


def test_an_interrupted_download_is_resumed_by_the_next_call(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [1_500_000, 0]
    with pytest.raises(
        UvlpError, match="ended early.*1,500,000 bytes are kept.*put the file there"
    ) as caught:
        fetch(server, tmp_path / "set.tgz")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "set.tgz.uvlp-part").stat().st_size == 1_500_000
    assert fetch(server, tmp_path / "set.tgz") == CONTENT
    assert server.requests[-1] == "bytes=1500000-"


def test_a_server_that_cannot_resume_sends_all_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz.uvlp-part").write_bytes(b"other bytes")
    server.ranges = False
    assert fetch(server, tmp_path / "set.tgz") == CONTENT


def test_it_gives_up_where_every_attempt_ends_at_the_same_byte(server: FileServer, tmp_path: Path) -> None:
    server.ranges, server.breaks = False, [1000] * 5
    with pytest.raises(UvlpError, match="cannot download .*ended early"):
        fetch(server, tmp_path / "set.tgz")
    assert len(server.requests) == 2


def test_a_part_that_is_the_whole_needs_nothing_more(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz.uvlp-part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "set.tgz") == CONTENT
    assert server.requests == [f"bytes={len(CONTENT)}-"]


def test_a_part_that_is_too_long_is_thrown_away(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz.uvlp-part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path / "set.tgz") == CONTENT


@pytest.mark.parametrize("length", ["-5", "many", "1.5", "\u00b2", "9" * 30])
def test_a_length_that_is_none_is_not_believed(length: str, server: FileServer, tmp_path: Path) -> None:
    server.length = length
    assert fetch(server, tmp_path / "set.tgz") == CONTENT


def test_less_than_announced_is_no_whole_file(server: FileServer, tmp_path: Path) -> None:
    server.length, server.ranges = str(len(CONTENT) + 1), False
    with pytest.raises(UvlpError) as caught:
        fetch(server, tmp_path / "set.tgz")
    assert caught.value.got == "the connection ended early"
    assert not (tmp_path / "set.tgz").exists()


def test_a_file_that_is_not_there_is_named(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UvlpError, match=r"cannot download http://.*/gone\.tgz: got 'HTTP status 404"):
        fetch(server, tmp_path / "gone.tgz")


def test_no_connection_is_said(tmp_path: Path) -> None:
    with serving() as closed:
        pass
    with pytest.raises(UvlpError, match="cannot download .*Connection refused"):
        fetch(closed, tmp_path / "set.tgz")


def test_a_server_that_sends_without_end_is_not_heard_to_it(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        download.download(f"{server.url}/set.tgz", tmp_path / "set.tgz", Progress(), at_most=1_500_000)
    assert "sends far more" in caught.value.what
    assert caught.value.got == "more than 1.5 MB"
    assert not os.listdir(tmp_path)
