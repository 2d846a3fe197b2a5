"""Archives: download, verification, unpacking, errors, and what an error leaves on disk."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest

from tests.datasets.files.file_server import FileServer, serving
from uvlp.core.errors import UvlpError
from uvlp.core.files import disk_space
from uvlp.core.files.leases import lease
from uvlp.core.progress import Event, Progress
from uvlp.datasets.files import archive
from uvlp.datasets.files.archive import Archive, planned, prepare
from uvlp.datasets.files.unpack import MARKER, unpack

FILES = {"set/train/cat/1.png": b"one", "set/val/cat/2.png": b"two"}


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    # Without the time, which would differ between test workers.
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as file,
    ):
        for member, content in members:
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tar_of_files(files: dict[str, bytes] | None = None) -> bytes:
    return tar_of(*((tarfile.TarInfo(name), content) for name, content in (files or FILES).items()))


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def zip_of(files: dict[str, bytes], mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            file.writestr(info, content)
    return buffer.getvalue()


def refusal(content: bytes, tmp_path: Path) -> UvlpError:
    (tmp_path / "set.tgz").write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        unpack(tmp_path / "set.tgz", tmp_path, "set", Progress())
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.tgz"], "no partial result is left"
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("content", [tar_of_files(), zip_of({"set/": b"", **FILES})])
def test_files_are_unpacked_unchanged(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "set.tgz").write_bytes(content)
    (tmp_path / ".set.unpacking").mkdir()
    for name in ("leftover of a killed run", MARKER):
        (tmp_path / ".set.unpacking" / name).touch()
    unpack(tmp_path / "set.tgz", tmp_path, "set", Progress())
    assert {str(p.relative_to(tmp_path)) for p in (tmp_path / "set").rglob("*.*")} == set(FILES)
    assert all((tmp_path / name).read_bytes() == content for name, content in FILES.items())
    assert not (tmp_path / ".set.unpacking").exists()


def test_a_foreign_temporary_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "set.tgz").write_bytes(tar_of_files())
    (tmp_path / ".set.unpacking").mkdir()
    (tmp_path / ".set.unpacking" / "thesis.txt").touch()
    with pytest.raises(UvlpError) as caught:
        unpack(tmp_path / "set.tgz", tmp_path, "set", Progress())
    assert caught.value.got == str(tmp_path / ".set.unpacking")
    assert (tmp_path / ".set.unpacking" / "thesis.txt").exists()


def test_links_inside_the_archive_become_copies(tmp_path: Path) -> None:
    hard = link("set/b.png", "set/a.png", tarfile.LNKTYPE)
    content = tar_of(
        (tarfile.TarInfo("set/a.png"), b"a"), (hard, b""), (link("set/sub/c.png", "../a.png"), b"")
    )
    (tmp_path / "set.tgz").write_bytes(content)
    unpack(tmp_path / "set.tgz", tmp_path, "set", Progress())
    assert (tmp_path / "set/b.png").read_bytes() == (tmp_path / "set/sub/c.png").read_bytes() == b"a"
    assert not (tmp_path / "set/sub/c.png").is_symlink()


@pytest.mark.parametrize("names", [("set/a", "set/a/b"), ("set/a/b", "set/a"), ("set/" + "x" * 300,)])
def test_conflicting_and_too_long_names_are_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    error = refusal(tar_of(*((tarfile.TarInfo(name), b"x") for name in names)), tmp_path)
    assert error.got == names[-1][:200]


@pytest.mark.parametrize("name", ["/etc/passwd", "../out.png", "set/../../out.png"])
def test_paths_that_leave_the_archive_are_refused(name: str, tmp_path: Path) -> None:
    assert refusal(tar_of_files(FILES | {name: b"x"}), tmp_path).got == name
    assert refusal(zip_of(FILES | {name: b"x"}), tmp_path).got == name


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (link("set/passwd", "/etc/passwd"), "leads to /etc/passwd"),
        (link("set/up", "../../up"), "leads to set/../../up"),
        (link("set/hard", "../up", tarfile.LNKTYPE), "leads to ../up"),
        (link("set/pipe", "", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (link("set/disk", "", tarfile.BLKTYPE), "neither a file nor a folder"),
    ],
)
def test_links_that_leave_the_archive_and_devices_are_refused(
    member: tarfile.TarInfo, reason: str, tmp_path: Path
) -> None:
    error = refusal(tar_of((tarfile.TarInfo("set/a.png"), b"a"), (member, b"")), tmp_path)
    assert reason in error.what and error.got == member.name


def test_a_link_in_a_zip_file_is_refused(tmp_path: Path) -> None:
    assert refusal(zip_of({"set/a": b"/etc/passwd"}, stat.S_IFLNK | 0o777), tmp_path).got == "set/a"


NOISE = numpy.random.default_rng(0).bytes(100_000)


def flipped(content: bytes, index: int) -> bytes:
    return content[:index] + bytes([content[index] ^ 0xFF]) + content[index + 1 :]


def encrypted(content: bytes) -> bytes:
    """Set the encryption flag in every entry of a zip file and of its directory."""
    for mark, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for start in [match.start() for match in re.finditer(re.escape(mark), content)]:
            content = content[: start + flag] + b"\1" + content[start + flag + 1 :]
    return content


LONG_TAR, LONG_ZIP = tar_of_files({"set/1.png": NOISE}), zip_of({"set/1.png": NOISE})


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no archive", tar_of_files()[:-20], zip_of(FILES)[:-30]),
        *(LONG_TAR[: len(LONG_TAR) // 2], flipped(LONG_TAR, len(LONG_TAR) // 2), flipped(LONG_TAR, 1)),
        *(flipped(LONG_ZIP, len(LONG_ZIP) // 2), encrypted(zip_of(FILES))),
        tar_of((link("set/a", "b"), b""), (link("set/b", "a"), b"")),
        tar_of((link("set/a", "a"), b"")),
        tar_of((tarfile.TarInfo("set/a.png"), b"a"), (link("set/gone", "nothing"), b"")),
    ],
)
def test_a_damaged_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    assert refusal(content, tmp_path).what == f"{tmp_path / 'set.tgz'} is damaged"


@pytest.mark.parametrize("ending", [b"", bytes(10**7)])
@pytest.mark.parametrize("form", ["tar", "zip"])
def test_a_decompression_bomb_is_refused(form: str, ending: bytes, tmp_path: Path) -> None:
    """By the sizes in its headers or, if they are not given, by the unpacked bytes."""
    files = {"set/a.png": b"a", "set/b.png": bytes(0 if ending else 10**7)}
    buffer = io.BytesIO()
    if form == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in files.items() if not ending else [("set/b.png", ending)]:
                file.writestr(name, content)
        packed = buffer.getvalue()
    else:
        packed = gzip.compress(gzip.decompress(tar_of_files(files)) + ending)
    assert len(packed) < 20_000
    (tmp_path / "set.tgz").write_bytes(packed)
    with pytest.raises(UvlpError) as caught:
        unpack(tmp_path / "set.tgz", tmp_path, "set", Progress(), at_most=10**6)
    assert caught.value.allowed == "at most 1.0 MB"
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.tgz"], "no partial result is left"


def test_empty_files_count_towards_the_limit(tmp_path: Path) -> None:
    (tmp_path / "set.tgz").write_bytes(tar_of_files({f"set/{number}": b"" for number in range(30)}))
    with pytest.raises(UvlpError) as caught:
        unpack(tmp_path / "set.tgz", tmp_path, "set", Progress(), at_most=15 * 512)
    assert caught.value.allowed == "at most 7.7 kB"


def test_a_named_pipe_is_not_opened_as_an_archive(server: FileServer, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "set.tgz")
    with pytest.raises(UvlpError) as caught:
        prepare(archive_at(server), tmp_path, Progress())
    assert caught.value.got == "a named pipe"


@pytest.mark.parametrize(
    ("content", "got", "fix"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html>log in</html>", "an HTML page", "download"),
    ],
)
def test_a_pointer_or_web_page_is_refused_as_an_archive(
    content: bytes, got: str, fix: str, server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "set.tgz").write_bytes(content)
    with pytest.raises(UvlpError) as caught:
        prepare(archive_at(server), tmp_path, Progress())
    assert caught.value.got == got
    assert fix in str(caught.value.fix)


def test_an_archive_without_the_expected_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tar_of_files({"other/a.png": b"a"}), tmp_path).got == "other"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as state:
        state.files["set.tgz"] = tar_of_files()
        yield state


def archive_at(server: FileServer, md5: str | None = None) -> Archive:
    content = server.files["set.tgz"]
    known = hashlib.md5(content).hexdigest() if md5 is None else md5
    return Archive(url=f"{server.url}/set.tgz", md5=known, bytes=len(content), unpacked_bytes=6, folder="set")


def test_an_archive_is_planned_and_fetched_once(server: FileServer, tmp_path: Path) -> None:
    wanted, root = archive_at(server), tmp_path / "data"
    plan = planned(wanted, root, "dataset set")
    assert plan is not None
    assert (plan.bytes, plan.disk_bytes) == (wanted.bytes, wanted.bytes + 6)
    assert plan.urls == (wanted.url,)
    assert "published MD5" in plan.note
    for _ in range(2):
        prepare(wanted, root, Progress())
    assert (root / "set/train/cat/1.png").read_bytes() == b"one"
    assert planned(wanted, root, "dataset set") is None
    assert len(server.requests) == 1
    assert [entry.name for entry in root.iterdir() if not entry.name.startswith(".")] == ["set"]


def test_a_partial_download_reduces_the_planned_bytes(server: FileServer, tmp_path: Path) -> None:
    wanted = archive_at(server)
    (tmp_path / "set.tgz.uvlp-part").write_bytes(b"1234")
    plan = planned(wanted, tmp_path, "dataset set")
    assert plan is not None
    assert plan.bytes == wanted.bytes - 4
    (tmp_path / "set.tgz").write_bytes(server.files["set.tgz"])
    plan = planned(wanted, tmp_path, "dataset set")
    assert plan is not None
    assert plan.bytes == 0


def test_an_existing_archive_needs_no_network_and_is_kept(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "set.tgz").write_bytes(server.files["set.tgz"])
    prepare(archive_at(server), tmp_path, Progress())
    assert (tmp_path / "set").is_dir()
    assert server.requests == []
    assert (tmp_path / "set.tgz").read_bytes() == server.files["set.tgz"], "the user's file is kept"


def test_a_wrong_hash_is_refused_and_the_file_kept(server: FileServer, tmp_path: Path) -> None:
    actual = hashlib.md5(server.files["set.tgz"]).hexdigest()
    with pytest.raises(UvlpError) as caught:
        prepare(archive_at(server, md5="0" * 32), tmp_path, Progress())
    assert (caught.value.got, caught.value.allowed) == (actual, "0" * 32)
    assert "delete the file" in str(caught.value.fix)
    assert (tmp_path / "set.tgz").exists()
    assert not (tmp_path / "set").exists()


def test_an_unpublished_hash_is_recorded_at_the_first_download(server: FileServer, tmp_path: Path) -> None:
    events: list[Event] = []
    wanted = archive_at(server, md5="")
    sha256 = hashlib.sha256(server.files["set.tgz"]).hexdigest()
    prepare(wanted, tmp_path, Progress(events.append))
    record = tmp_path / "set.tgz.json"
    assert json.loads(record.read_text()) == {"url": wanted.url, "sha256": sha256}
    assert [event.message for event in events if event.message] == [
        f"set.tgz: no hash is published; its SHA-256 {sha256} is recorded in {record}"
    ]
    shutil.rmtree(tmp_path / "set")
    server.files["set.tgz"] = tar_of_files({"set/other.png": b"changed"})
    with pytest.raises(UvlpError) as caught:
        prepare(wanted, tmp_path, Progress())
    assert caught.value.allowed == sha256
    record.write_text("{}")
    with pytest.raises(UvlpError) as caught:
        prepare(wanted, tmp_path, Progress())
    assert caught.value.what == f"{record} is damaged"


@pytest.mark.parametrize(
    "first", [b"<!DOCTYPE html><title>log in</title>", tar_of_files()[:40], tar_of_files()[:-20]]
)
def test_the_hash_of_a_web_page_or_partial_archive_is_not_recorded(
    first: bytes, server: FileServer, tmp_path: Path
) -> None:
    wanted, good = archive_at(server, md5=""), server.files["set.tgz"]
    server.files["set.tgz"] = first
    with pytest.raises(UvlpError) as caught:
        prepare(wanted, tmp_path, Progress())
    assert (caught.value.fix or "").startswith("delete")
    assert not (tmp_path / "set.tgz.json").exists()
    (tmp_path / "set.tgz").unlink()  # as the error advises
    server.files["set.tgz"] = good
    prepare(wanted, tmp_path, Progress())
    assert (tmp_path / "set/train/cat/1.png").read_bytes() == b"one"


def test_the_advice_on_a_changed_archive_works(server: FileServer, tmp_path: Path) -> None:
    wanted, record = archive_at(server, md5=""), tmp_path / "set.tgz.json"
    record.write_text(json.dumps({"url": wanted.url, "sha256": "0" * 64}))
    with pytest.raises(UvlpError) as caught:
        prepare(wanted, tmp_path, Progress())
    assert f"delete {record}" in str(caught.value.fix)
    (tmp_path / "set.tgz").unlink()
    record.unlink()
    prepare(wanted, tmp_path, Progress())
    assert json.loads(record.read_text())["sha256"] == hashlib.sha256(server.files["set.tgz"]).hexdigest()


def test_too_little_space_is_reported_before_the_download(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: 2_000_000_000)
    wanted = replace(archive_at(server), unpacked_bytes=3_000_000_000)
    with pytest.raises(UvlpError) as caught:
        prepare(wanted, tmp_path, Progress())
    assert (caught.value.got, caught.value.allowed) == (f"2.0 GB free in {tmp_path}", "3.0 GB or more")
    assert server.requests == []


@pytest.mark.parametrize("step", ["download", "unpack"])
def test_a_full_disk_keeps_the_download(
    step: str, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    with monkeypatch.context() as patch:
        patch.setattr(archive, step, full)
        with pytest.raises(UvlpError) as caught:
            prepare(archive_at(server), tmp_path, Progress())
    assert "No space left on device" in str(caught.value)
    assert (tmp_path / "set.tgz").exists() == (step == "unpack")
    prepare(archive_at(server), tmp_path, Progress())
    assert len(server.requests) == 1


def test_a_data_folder_that_cannot_be_created_is_named(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UvlpError) as caught:
        prepare(archive_at(server), tmp_path / "file" / "data", Progress())
    assert str(tmp_path / "file/data") in str(caught.value)


def test_a_second_process_waits_for_the_first(server: FileServer, tmp_path: Path) -> None:
    events: list[Event] = []
    wanted = archive_at(server)
    with lease.acquire(tmp_path / ".set.lease", lambda _: None):
        second = threading.Thread(target=prepare, args=(wanted, tmp_path, Progress(events.append)))
        second.start()
        while not events:
            time.sleep(0.01)
        assert events[0].message == f"waiting: another process is fetching into {tmp_path}"
        assert server.requests == []
        (tmp_path / "set").mkdir()  # the first has finished
    second.join()
    assert server.requests == []
