"""A finished run as a page for `paper_tables/measured`: tables, relations that must hold, time per method.

    python -m tools.measured_table KEY [KEY ...] --store STORE --title TITLE --command COMMAND --out FILE

A relation is a paired difference between two methods of a table with its 95 % interval over the seeds. It
fails only where the interval lies on the wrong side of 0.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.artifacts import tables
from uvlp.artifacts.tables import Table
from uvlp.core.wording import duration
from uvlp.tables.comparisons import against
from uvlp.tables.grids import Grid, markdown_grid
from uvlp.tables.table import markdown

RELATIONS = (
    ("dm", "random", "optimised from random images"),
    ("idc-1", "random", "optimised from random images"),
    ("glad", "random", "optimised from latents of random images"),
    ("minimax", "dit", "fine-tuned from the same DiT"),
    ("herding", "k-center", "on natural images"),
)
"""Method, the one it must not fall below, and why."""
NATURAL = ("herding", "k-center")
MAKES_IMAGES = ("optimise", "sample", "synthesise", "prototype")
Manifests = Mapping[str, Mapping[str, Any]]


def manifests(store: Path) -> Manifests:
    """The manifest of every artifact by its key."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(store.glob("*/*/manifest.json")))
    return {each["key"]: each for each in read}


def behind(key: str, known: Manifests) -> Iterator[str]:
    """Yield the key of an artifact and of all that it was made from; some more than once."""
    yield key
    for earlier in known[key]["inputs"].values():
        yield from behind(earlier, known)


def relations(table: Table, store: Path, natural: bool) -> Grid:
    """Return the difference of each pair of `RELATIONS` that the table holds, for best and last."""
    methods = set(table.rows)
    body = []
    for method, reference, why in RELATIONS:
        if not {method, reference} <= methods or ((method, reference) == NATURAL and not natural):
            continue
        for one in against(table, store, reference).comparisons:
            if one.method == method:
                held = "fails" if one.high_points < 0 else "holds" if one.low_points > 0 else "cannot tell"
                names = f"{table.title(method)} - {table.title(reference)}"
                body.append([names, why, one.which, one.show(), str(one.pairs), held])
    head = ["difference", "why", "pass", "points (95 % interval)", "pairs", "relation"]
    return Grid(heading="", head=head, body=body)


def times(keys: Sequence[str], known: Manifests) -> Grid:
    """Return wall-clock seconds by method: of its own images, of one training on them, and shared models."""
    used = {key for table in keys for key in behind(table, known)}
    of_method: dict[str, dict[str, list[float]]] = {}
    shared: dict[str, list[float]] = {}
    for key in sorted(used):
        one = known[key]
        seconds = float(one["made"]["seconds"])
        if one["stage"] in MAKES_IMAGES:
            method = one["facts"].get("method") or one["plugin"]
            of_method.setdefault(method, {}).setdefault(one["stage"], []).append(seconds)
        elif one["stage"] == "evaluate":
            method = str(one["title"]).partition(" scored by ")[0]
            of_method.setdefault(method, {}).setdefault("evaluate", []).append(seconds)
        elif one["stage"] != "tabulate":
            shared.setdefault(one["title"], []).append(seconds)
    order = [cell["method"] for table in keys for cell in known[table]["facts"].get("cells", ())]
    names = sorted(of_method, key=lambda name: order.index(name) if name in order else len(order))
    body = [[name, *_row(of_method[name])] for name in names]
    body += [[name, "shared", duration(sum(seconds)), "", ""] for name, seconds in shared.items()]
    return Grid(heading="", head=["method", "images", "time", "trainings", "time of one"], body=body)


def _row(stages: Mapping[str, Sequence[float]]) -> list[str]:
    own = [seconds for stage, each in stages.items() if stage != "evaluate" for seconds in each]
    sets = max((len(each) for stage, each in stages.items() if stage != "evaluate"), default=0)
    trainings = stages.get("evaluate", ())
    return [
        f"{sets} sets" if sets != 1 else "1 set",
        duration(sum(own) / sets) + (" each" if sets > 1 else "") if sets else "-",
        str(len(trainings)),
        duration(sum(trainings) / len(trainings)) if trainings else "-",
    ]


def processor() -> str:
    """The name of this machine's processor, and its cores."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names)} cores"


def page(arguments: argparse.Namespace) -> str:
    """Return the page as Markdown."""
    store, known = arguments.store, manifests(arguments.store)
    keys = [_whole(key, known) for key in arguments.keys]
    made = sorted(known[key]["made"]["at"][:10] for key in keys)
    versions = known[keys[0]]["made"]["versions"]
    lines = [
        f"# {arguments.title}",
        "",
        f"Made on {made[-1]} ({processor()}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + ") by",
        "",
        *[f"    {command}" for command in arguments.command],
        "",
        "and written by `python -m tools.measured_table`.",
        "",
        *[line for note in arguments.note for line in (note, "")],
    ]
    for key in keys:
        table = tables.read(store / tables.KIND / key)
        lines += ["## " + table.caption, "", *markdown(table).split("\n")[2:]]
        held = relations(table, store, arguments.natural)
        if held.body:
            lines += ["### Relations", "", "A relation fails only where its interval lies below 0.", ""]
            lines += [*markdown_grid(held), ""]
    lines += ["## Time", "", arguments.times, "", *markdown_grid(times(keys, known)), ""]
    return "\n".join(lines)


def _whole(key: str, known: Manifests) -> str:
    (found,) = [each for each, one in known.items() if one["kind"] == tables.KIND and each.startswith(key)]
    return found


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="+", metavar="KEY", help="keys of tables, or their first digits")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--command", action="append", required=True, help="a command of the run; repeatable")
    parser.add_argument("--note", action="append", default=[], help="a sentence above the tables; repeatable")
    parser.add_argument("--natural", action="store_true", help="the images are natural: more relations hold")
    parser.add_argument("--times", default="Wall-clock time.", help="sentence above the times")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.write_text(page(arguments), encoding="utf-8")


if __name__ == "__main__":
    main()
