"""``uvlp`` and ``python -m uvlp``: listens for Ctrl-C before the command line is imported."""

from uvlp.core import interrupts


def main() -> None:
    """The console script."""
    interrupts.listen()
    from uvlp import cli

    try:
        cli.main()
    finally:
        interrupts.ignore()


if __name__ == "__main__":
    main()
