"""Suppress the output of libraries: messages for the user go through `core/progress`."""

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
"""Exceptions of the model libraries for a folder that is damaged or contains something else."""


@contextmanager
def quiet() -> Iterator[None]:
    """Context without warnings, log lines or progress bars of the model libraries.

    Import the libraries first: progress bars can be disabled only in imported libraries.
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
