"""UTF-8 for names and arguments, whatever the locale: results must not depend on it."""

from __future__ import annotations

import os
import sys


def ensure_utf8_mode() -> None:
    """Restart this program in Python's UTF-8 mode if names are decoded in another encoding.

    In a plain POSIX locale non-ASCII names cannot be printed or compared; in an ISO 8859 locale they would be
    decoded to other letters, and so to another key. Only the encoding of the terminal is kept.
    """
    # An explicit -X utf8=0 is respected; a restart would change nothing.
    if sys.getfilesystemencoding() == "utf-8" or "utf8" in sys._xoptions or not sys.executable:
        return
    import codecs
    import locale

    terminal = locale.getencoding()
    if codecs.lookup(terminal).name != "ascii":
        os.environ.setdefault("PYTHONIOENCODING", terminal)
    os.environ["PYTHONUTF8"] = "1"  # for child processes
    # The option also works for an isolated Python, which ignores environment variables.
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
