"""``python -m uvlp``, the same as the console script."""

from uvlp.cli import main

if __name__ == "__main__":
    main()
