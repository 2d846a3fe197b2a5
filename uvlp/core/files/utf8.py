"""UTF-8 for names and arguments, whatever the locale: what is made must not depend on it."""

from __future__ import annotations

import os
import sys


def insist() -> None:
    """Start this program again in Python's UTF-8 mode, where names are read in another encoding.

    In a plain POSIX locale no name beyond ASCII can be printed or compared; in one of ISO 8859 it would be
    other letters, and so another key. Only the encoding of a terminal that has one is kept.
    """
    # Who says -X utf8=0 means it, and another start would change nothing.
    if sys.getfilesystemencoding() == "utf-8" or "utf8" in sys._xoptions or not sys.executable:
        return
    import codecs
    import locale

    terminal = locale.getencoding()
    if codecs.lookup(terminal).name != "ascii":
        os.environ.setdefault("PYTHONIOENCODING", terminal)
    os.environ["PYTHONUTF8"] = "1"  # for the processes that this one starts
    # The command line holds for an isolated Python, too, which looks at no variable.
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
