"""`python -m tests.pins`: update the pinned hashes of plug-ins and defaults, and report what has changed."""

import sys

from tests.pins import defaults
from tests.pins.closure import Reader
from tests.pins.pins import FILE, PACKAGE, Pins, read, report
from tests.pins.sources import Package


def main() -> None:
    """Write the pins to their file."""
    state = read(Reader(Package(PACKAGE)))
    old = Pins.read() if FILE.is_file() else Pins({}, {})
    print(report(old, state) or "all is as pinned", file=sys.stderr)
    FILE.write_text(state.pins().to_json(), encoding="utf-8")
    defaults.write()


if __name__ == "__main__":
    main()
