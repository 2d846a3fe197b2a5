"""local: worker processes on this machine."""

from __future__ import annotations

from uvlp.declarations.launcher import Launch
from uvlp.declarations.settings import NoSettings

TITLE = "worker processes on this machine"


def launch(work: Launch, settings: NoSettings) -> None:
    """Make the tasks on worker processes of this machine; see `Launch.make`."""
    work.make(work.tasks, work.workers)
