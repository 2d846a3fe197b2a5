"""Keep library chatter off the terminal: what the user should know goes through `core/progress`."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

LOADING_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    AttributeError,
    SafetensorError,
)
"""What the model libraries raise for a folder that is damaged or holds something else."""


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, log lines or progress bars of the model libraries inside the block.

    Import the libraries before: only those already imported have bars to switch off.
    """
    for library in ("diffusers", "transformers"):
        library_logging = sys.modules.get(f"{library}.utils.logging")
        if library_logging is not None:
            library_logging.disable_progress_bar()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
