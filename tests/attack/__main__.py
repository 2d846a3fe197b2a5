"""`python -m tests.attack [PATTERN]`: run the attacks whose kind or name matches, and count the verdicts.

The last line gives the wall-clock and processor time, children included, without preparing the data.
"""

from __future__ import annotations

import re
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.attack import ground
from tests.attack.catalogue import ATTACKS
from tests.attack.ground import Attack
from tests.attack.prepared import prepare


def main() -> None:
    """Run the attacks, two at a time."""
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    chosen = [attack for attack in ATTACKS if pattern.search(f"{attack.kind} {attack.name}")]
    with tempfile.TemporaryDirectory(prefix="uvlp-attack-") as folder, ThreadPoolExecutor(2) as pool:
        prepared = prepare(Path(folder), {part for attack in chosen for part in attack.needs})
        start, spent_s = time.monotonic(), _processor_s()

        def make(numbered: tuple[int, Attack]) -> str:
            number, attack = numbered
            root = Path(folder) / str(number)
            started = time.monotonic()
            verdict = ground.attempt(attack, prepared, root)
            shutil.rmtree(root, ignore_errors=True)
            if verdict != "ok":
                print(
                    f"{attack.kind:8} {attack.name} ({time.monotonic() - started:.0f} s)\n    {verdict}",
                    flush=True,
                )
            return verdict.partition(":")[0]

        verdicts = Counter(pool.map(make, enumerate(chosen)))
    times = f"{time.monotonic() - start:.0f} s, {_processor_s() - spent_s:.0f} s of the processors"
    print(f"{len(chosen)} attacks in {times}: {dict(verdicts)}")


def _processor_s() -> float:
    """Processor time of this process and of its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
