"""``uvlp`` and ``python -m uvlp``: names are UTF-8 and Ctrl-C is heard before the rest is imported."""

from uvlp.core import interrupts
from uvlp.core.files import utf8


def main() -> None:
    """The console script."""
    utf8.ensure_utf8_mode()
    interrupts.install_handlers()
    from uvlp.cli import app

    try:
        app.main()
    finally:
        interrupts.ignore()


if __name__ == "__main__":
    main()
