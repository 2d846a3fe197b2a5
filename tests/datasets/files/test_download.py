"""Downloads: complete, resumed, restarted, refused."""

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


def test_a_file_is_downloaded_and_progress_counts_megabytes(server: FileServer, tmp_path: Path) -> None:
    events: list[Event] = []
    assert fetch(server, tmp_path / "set.tgz", Progress(events.append)) == CONTENT
    assert events[-1] == Event("download set.tgz, MB", 3, 3)
    assert os.listdir(tmp_path) == ["set.tgz"]
    assert server.requests == [None]


def test_a_lost_connection_is_resumed(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [1000, 500_000]
    assert fetch(server, tmp_path / "set.tgz") == CONTENT
    assert server.requests == [None, "bytes=1000-", "bytes=501000-"]


def test_the_next_call_resumes_an_interrupted_download(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [1_500_000, 0]
    with pytest.raises(UvlpError) as caught:
        fetch(server, tmp_path / "set.tgz")
    assert caught.value.got == "the connection ended early"
    assert "1,500,000 bytes are kept" in str(caught.value.fix)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "set.tgz.uvlp-part").stat().st_size == 1_500_000
    assert fetch(server, tmp_path / "set.tgz") == CONTENT
    assert server.requests[-1] == "bytes=1500000-"


def test_a_server_without_ranges_sends_everything_again(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz.uvlp-part").write_bytes(b"other bytes")
    server.ranges = False
    assert fetch(server, tmp_path / "set.tgz") == CONTENT


def test_a_download_without_progress_is_given_up(server: FileServer, tmp_path: Path) -> None:
    server.ranges, server.breaks = False, [1000] * 5
    with pytest.raises(UvlpError) as caught:
        fetch(server, tmp_path / "set.tgz")
    assert caught.value.got == "the connection ended early"
    assert len(server.requests) == 2


def test_a_complete_partial_file_needs_no_more_bytes(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz.uvlp-part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "set.tgz") == CONTENT
    assert server.requests == [f"bytes={len(CONTENT)}-"]


def test_a_partial_file_that_is_too_long_is_discarded(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz.uvlp-part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path / "set.tgz") == CONTENT


@pytest.mark.parametrize("length", ["-5", "many", "1.5", "\u00b2", "9" * 30])
def test_an_invalid_content_length_is_ignored(length: str, server: FileServer, tmp_path: Path) -> None:
    server.length = length
    assert fetch(server, tmp_path / "set.tgz") == CONTENT


def test_fewer_bytes_than_announced_are_an_incomplete_file(server: FileServer, tmp_path: Path) -> None:
    server.length, server.ranges = str(len(CONTENT) + 1), False
    with pytest.raises(UvlpError) as caught:
        fetch(server, tmp_path / "set.tgz")
    assert caught.value.got == "the connection ended early"
    assert not (tmp_path / "set.tgz").exists()


def test_an_http_error_is_reported(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        fetch(server, tmp_path / "gone.tgz")
    assert caught.value.what == f"cannot download {server.url}/gone.tgz"
    assert str(caught.value.got).startswith("HTTP status 404")


def test_a_refused_connection_is_reported(tmp_path: Path) -> None:
    with serving() as closed:
        pass
    with pytest.raises(UvlpError) as caught:
        fetch(closed, tmp_path / "set.tgz")
    assert "Connection refused" in str(caught.value.got)


def test_an_endless_response_is_cut_short(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(UvlpError) as caught:
        download.download(f"{server.url}/set.tgz", tmp_path / "set.tgz", Progress(), at_most=1_500_000)
    assert caught.value.got == "more than 1.5 MB"
    assert not os.listdir(tmp_path)
