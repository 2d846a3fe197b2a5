"""trackio: a database of the user's, below `TRACKIO_DIR` or Hugging Face's cache.

It is sent to a Space or server only if `TRACKIO_SPACE_ID` or `TRACKIO_SERVER_URL` names one, and never with
`--offline`.
"""

from __future__ import annotations

import contextlib
import contextvars
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uvlp.pipeline.runs.tracker import PROJECT, Described

ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


class Trackio:
    """A project of trackio.

    Args:
        local: whether nothing may be sent.
    """

    def __init__(self, local: bool) -> None:
        import trackio

        self._local = local
        place = (
            str(trackio.TRACKIO_DIR) if local else " ".join(os.environ.get(name, "") for name in ELSEWHERE)
        )
        self.where = (
            f"project {PROJECT} in {place.strip()}; look at it with `trackio show --project {PROJECT}`"
        )

    def begin(self, run: Described) -> _Run:
        """See `Tracker`."""
        import trackio

        with _nothing_sent() if self._local else contextlib.nullcontext(), _unprinted():
            # `init` ends the earlier run of its context, but several artifacts are made at once.
            begun = contextvars.copy_context().run(
                trackio.init,
                PROJECT,
                name=run.name,
                group=run.group,
                config={"title": run.title, "stage": run.stage, **run.config},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        return _Run(begun)


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def picture(self, name: str, path: Path, step: int) -> None:
        import trackio

        self._run.log({name: trackio.Image(str(path))}, step=step)

    def close(self) -> None:
        with _unprinted():
            self._run.finish()


@contextlib.contextmanager
def _nothing_sent() -> Iterator[None]:
    """Context in which trackio does not find a Space, and does not ask the hub who the user is."""
    from huggingface_hub import constants

    before, named = constants.HF_HUB_OFFLINE, {name: os.environ.pop(name, None) for name in ELSEWHERE}
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        os.environ.update({name: value for name, value in named.items() if value is not None})


@contextlib.contextmanager
def _unprinted() -> Iterator[None]:
    """Keep what trackio prints out of the output of the command."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def open_tracker(folder: Path, offline: bool) -> Trackio:
    """Return the tracker; ``folder`` is that of a store's logs, and unused.

    Args:
        offline: send nothing.
    """
    return Trackio(local=offline or not any(os.environ.get(name) for name in ELSEWHERE))
