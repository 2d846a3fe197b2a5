"""A local HTTP server that can resume, refuse to resume, and drop connections."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Serves ``files`` by name; ``requests``: the requested ranges, None for an entire file.

    ``breaks``: byte counts after which the next responses end, one each. ``ranges``: whether it resumes.
    ``length``: a false Content-Length.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str | None] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    length: str | None = None


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server in a thread."""
    state = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = state.files.get(self.path.lstrip("/"))
            requested = self.headers.get("Range")
            state.requests.append(requested)
            if content is None:
                self.send_error(404)
                return
            start = int(re.findall(r"\d+", requested)[0]) if requested and state.ranges else 0
            if start and start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", state.length or str(len(content) - start))
            self.end_headers()
            rest = content[start:]
            self.wfile.write(rest[: state.breaks.pop(0)] if state.breaks else rest)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
