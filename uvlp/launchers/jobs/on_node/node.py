"""`python -m uvlp.launchers.jobs.on_node.node FOLDER ORDER NAME`: make the tasks of one job on this node.

It is a process of its own, so that the cluster's signals end it in an orderly way while its parent asks for
the job to be queued again (`start.py`). How it ended is written to a file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from uvlp.core import interrupts
from uvlp.launchers.jobs import order, outcome


def main(folder: Path, file: str, name: str) -> int:
    """Carry out the job ``name`` of an order; return 0 if it is done, else 1."""
    error: BaseException | None = None
    try:
        make, jobs, workers = order.read(folder, file).work(name)
        make(jobs, workers)
    except (Exception, KeyboardInterrupt) as failure:
        error = failure
        print(f"uvlp: {failure}", file=sys.stderr)
    return 0 if outcome.write(folder, name, error) == outcome.DONE else 1


if __name__ == "__main__":
    interrupts.install_handlers()
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
