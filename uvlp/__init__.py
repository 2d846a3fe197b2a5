"""UVLP: reproduce and compare diffusion-based dataset distillation.

`evaluate`, `reproduce`, `distil`, `table` and `Store` are the command line in Python (docs/python.md); they
are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvlp.api import Store, distil, evaluate, reproduce, table
    from uvlp.core.errors import UvlpError, WorkerFailed

__version__ = "0.1.0"
__all__ = ["Store", "UvlpError", "WorkerFailed", "__version__", "distil", "evaluate", "reproduce", "table"]


if not TYPE_CHECKING:  # else any name would be one for type checkers, of type Any

    def __getattr__(name: str) -> Any:
        if name in ("UvlpError", "WorkerFailed"):
            from uvlp.core import errors

            return getattr(errors, name)
        if name in __all__:
            from uvlp import api

            return getattr(api, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
