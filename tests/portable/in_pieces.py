"""The command line, with every task that can be divided in N pieces.

`python -m tests.portable.in_pieces N ARGUMENTS`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from uvlp.artifacts.task import Task
from uvlp.cli import app
from uvlp.pipeline.making import here
from uvlp.pipeline.planning.pieces import Divided, Piece, divisible, pieces


def spread(todo: Sequence[Task], *_: Any) -> list[Task | Piece | Divided]:
    """Return the jobs of ``todo``; the last piece of a task goes first."""
    jobs: list[Task | Piece | Divided] = []
    for task in todo:
        if divisible(task):
            jobs += [*reversed(pieces(task, COUNT)), Divided(task, COUNT)]
        else:
            jobs.append(task)
    print(sum(isinstance(job, Piece) for job in jobs), "pieces")
    return jobs


if __name__ == "__main__":
    COUNT = int(sys.argv.pop(1))
    vars(here)["spread"] = spread
    app.main()
