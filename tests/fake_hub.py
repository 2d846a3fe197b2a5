"""A hub for tests: its cache on disk, and a local server.

The server implements what a download needs: commit of a revision, list of files, and files with ranges; and
for datasets, whose names here begin with `datasets/`, what an upload needs: a repository, and commits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

ROUTE = re.compile(
    r"/api/(?:models/|(?=datasets/))(?P<repo>.+?)/(?P<what>revision|tree)/(?P<rev>[^/]+)$"
    r"|/(?P<file_repo>.+?)/resolve/(?P<file_rev>[^/]+)/(?P<path>.+)$"
)
UPLOAD = re.compile(r"/api/(?P<repo>datasets/.+?)/(?P<what>preupload|commit)/main$")


def commit(digit: str) -> str:
    """Return a commit that is easy to recognise."""
    return digit * 40


def place(cache: Path, repository: str, revision: str, source: Path, branch: str = "main") -> Path:
    """Copy the files of ``source`` to the hub library's cache; return the snapshot's folder."""
    root = cache / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / revision
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        blob = root / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, blob)
        link = snapshot / file.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    if branch:
        (root / "refs").mkdir(exist_ok=True)
        (root / "refs" / branch).write_text(revision, encoding="utf-8")
    return snapshot


def live_in(home: Path, patch: pytest.MonkeyPatch, address: str = "http://127.0.0.1:9") -> None:
    """Let the hub's library use ``home`` for its files and ``address`` as its server (default: none)."""
    patch.setattr(constants, "HF_HOME", str(home))
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@dataclass
class Hub:
    """Content of the server, and its requests.

    Attributes:
        folders: files by repository and commit.
        newest: commit of the branch `main` by repository.
        branches: commits of other branches by repository and name.
        refuse: status and error code of the response by repository.
        stops_after: bytes after which the connection breaks, by file name; once.
        stalls_after: the same, but the transfer stalls until `go_on` is set.
        asked: names of the files that were sent, with the first byte.
        page: response to every request, like the log-in page of a network.
        address: of the server.
        uploads: new folder below which the files of commits are kept; None: uploads are refused.
        created: what was asked of each new repository.
    """

    folders: dict[tuple[str, str], Path] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    branches: dict[tuple[str, str], str] = field(default_factory=dict)
    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)
    stops_after: dict[str, int] = field(default_factory=dict)
    stalls_after: dict[str, int] = field(default_factory=dict)
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, int]] = field(default_factory=list)
    page: bytes = b""
    address: str = ""
    uploads: Path | None = None
    created: list[dict[str, object]] = field(default_factory=list)


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a server in a thread until the context ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        """A new repository, how its files are to be sent (all of them inside the commit), or a commit."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.hub.page:
            return self._send(200, self.hub.page, {"Content-Type": "text/html"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        match = UPLOAD.match(unquote(urlsplit(self.path).path))
        asked = json.loads(content) if not match or match["what"] == "preupload" else {}
        new = f"{asked.get('type')}s/{asked.get('organization')}/{asked.get('name')}"
        repository = match["repo"] if match else new
        status, code = self.hub.refuse.get(repository, (200, ""))
        if self.hub.uploads is None or not self.headers.get("Authorization"):
            status = 401
        if status != 200:
            return self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})
        if match is None:
            return self._create(repository, asked)
        if match["what"] == "preupload":
            modes = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                for each in asked["files"]
            ]
            return self._json({"files": modes})
        return self._commit(repository, [json.loads(line) for line in content.splitlines()])

    def _create(self, repository: str, asked: dict[str, object]) -> None:
        if repository in self.hub.newest:
            return self._json({"error": "exists", "url": f"{self.hub.address}/{repository}"}, 409)
        self.hub.created.append(asked)
        self._keep(repository, {".gitattributes": b"*.png filter=lfs"})
        return self._json({"url": f"{self.hub.address}/{repository}"})

    def _commit(self, repository: str, operations: list[dict[str, dict[str, str]]]) -> None:
        folder = self.hub.folders[repository, self.hub.newest[repository]]
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for each in operations:
            value = each["value"]
            match str(each["key"]):
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "deletedFile":
                    del files[value["path"]]
        commit = self._keep(repository, files)
        self._json({"commitUrl": f"{self.hub.address}/{repository}/commit/{commit}", "commitOid": commit})

    def _keep(self, repository: str, files: dict[str, bytes]) -> str:
        """Keep the files of a commit, which is named by their content."""
        assert self.hub.uploads is not None
        named = sorted((name, hashlib.sha1(content).hexdigest()) for name, content in files.items())
        commit = hashlib.sha1(json.dumps(named).encode()).hexdigest()
        folder = self.hub.uploads / repository / commit
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        self.hub.folders[repository, commit] = folder
        self.hub.newest[repository] = commit
        return commit

    def _answer(self, body: bool) -> None:
        if self.hub.page:
            return self._send(200, self.hub.page, {"Content-Type": "text/html"}, body)
        found = ROUTE.match(urlsplit(self.path).path)
        if found is None:
            return self._send(404, b"", {})
        match = {name: unquote(text or "") for name, text in found.groupdict().items()}
        repository = match["repo"] or match["file_repo"]
        revision = match["rev"] or match["file_rev"]
        if repository in self.hub.refuse:
            status, code = self.hub.refuse[repository]
            return self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})
        branch = self.hub.branches.get((repository, revision), revision)
        sha = self.hub.newest.get(repository) if revision == "main" else branch
        folder = self.hub.folders.get((repository, sha or ""))
        if folder is None:
            known = repository in self.hub.newest
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound" if known else "RepoNotFound"})
        if match["path"]:
            return self._file(folder / match["path"], str(sha), body)
        if match["what"] == "tree":
            return self._json([_entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()])
        return self._json({"id": repository, "sha": sha, "siblings": [], "tags": []})

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, path: Path, sha: str, body: bool) -> None:
        if not path.is_file():
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        data = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": sha}
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if body:
            self.hub.asked.append((path.name, start))
            stop = self.hub.stops_after.pop(path.name, None)
            stall = self.hub.stalls_after.pop(path.name, None)
            if stall is not None:
                self._send(200, data, headers, cut=stall)
                self.hub.go_on.wait(30)
                self.close_connection = True
                return None
            if stop is not None:
                self._send(200, data, headers, cut=stop)
                self.close_connection = True
                return None
        return self._send(206 if start else 200, data[start:], headers, body)

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], body: bool = True, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data if cut is None else data[:cut])


def _entry(folder: Path, path: Path) -> dict[str, object]:
    data = path.read_bytes()
    sha = hashlib.sha256(data).hexdigest()
    return {
        "type": "file",
        "path": path.relative_to(folder).as_posix(),
        "size": len(data),
        "oid": hashlib.sha1(data).hexdigest(),
        "lfs": {"oid": sha, "size": len(data), "pointerSize": 134},
    }
