"""A server of this machine in place of those of trackers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def unasked() -> Iterator[str]:
    """An address that nobody may ask: at the end, nobody has."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        with contextlib.suppress(BlockingIOError):
            asking, _ = server.accept()
            with asking:
                pytest.fail(f"something was sent: {asking.recv(200)!r}")
