"""The run scripts of the papers' datasets and tables, written from recipes, estimates and published numbers.

    python -m tools.run_script_texts

writes every `run_scripts/DATASET_ipcIPC.sh` and `run_scripts/table_NAME.sh`; a test checks that they are
up to date.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from uvlp.core import plugins
from uvlp.core.wording import byte_size
from uvlp.pipeline.estimates.report import Estimate
from uvlp.pipeline.published.runs import OF_A_FOLDER, PublishedRun, estimates, runs
from uvlp.recipes.schema import Recipe
from uvlp.tables import published

FOLDER = Path(__file__).resolve().parents[1] / "run_scripts"
WIDTH = 105
UNPUBLISHED = tuple(
    (dataset, ipc) for dataset in ("imagenet100", "cifar10", "cifar100", "tiny_imagenet") for ipc in (10, 50)
)
"""Datasets and images per class of VLCP's scripts, of which no table was published."""
PREAMBLE = 'set -euo pipefail\nsource "$(dirname "${BASH_SOURCE[0]}")/setup.sh"\n'


def commands_of_table(name: str) -> list[PublishedRun]:
    """The runs of a published table for the implemented methods, IPC by IPC.

    Datasets from a folder of the user's come first: a missing `--data` is reported at once, not after hours.
    """
    here = set(plugins.names("methods"))
    cells = [cell for cell in published.table(name) if cell.method in here]
    methods = tuple(dict.fromkeys(cell.method for cell in cells))
    return [replace(run, methods=methods) for run in runs(cells)]


def experiments() -> list[tuple[str, int]]:
    """Datasets and images per class: those of every published cell, then `UNPUBLISHED`."""
    return list(dict.fromkeys([*((cell.dataset, cell.ipc) for cell in published.cells()), *UNPUBLISHED]))


def run_of(dataset: str, ipc: int) -> PublishedRun:
    """The dataset's own recipe with every implemented method and every network of the published tables.

    Methods and networks that the recipe has already are not named.
    """
    run = PublishedRun(dataset, ipc)
    recipe, here = run.recipe(), set(plugins.names("methods"))
    cells = [cell for cell in published.cells() if (cell.dataset, cell.ipc) == (dataset, ipc)]
    methods = tuple(dict.fromkeys([*recipe.methods, *(cell.method for cell in cells if cell.method in here)]))
    known = {published.canonical(network) for network in recipe.networks}
    others = (cell.network for cell in cells if published.canonical(cell.network) not in known)
    networks = tuple(dict.fromkeys([*recipe.networks, *others]))
    return replace(
        run,
        methods=methods if methods != recipe.methods else (),
        networks=networks if networks != recipe.networks else (),
    )


def wrapped(text: str) -> list[str]:
    """A comment wrapped to the line width."""
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)


def resources(estimates: list[Estimate]) -> str:
    """Resources of the runs together; shared artifacts count once."""
    times = [estimate.seconds for estimate in estimates]
    known = [time for time in times if time is not None]
    hours = f"{sum(known) / 3600:.1f} GPU-hours" if len(known) == len(times) else "GPU-hours not known"
    gpu, host = (max(getattr(one, f"{name}_bytes") for one in estimates) for name in ("gpu", "host"))
    disk = sum(one.disk_bytes - one.scratch_bytes for one in estimates)
    disk += max(one.scratch_bytes for one in estimates)
    sizes = [byte_size(round(size)) for size in (gpu, host, disk)]
    basis = dict.fromkeys(estimate.basis for estimate in estimates)
    return (
        f"One {estimates[0].machine.name}: {hours}, {sizes[0]} of GPU memory, {sizes[1]} of memory, "
        f"{sizes[2]} of disk; {', '.join(basis)}."
    )


def accuracies(recipe: Recipe) -> Iterator[str]:
    """The published number of every method of the recipe with every of its networks."""
    for network in recipe.networks:
        for spec in recipe.methods:
            name = spec.partition(":")[0]
            number = published.show(recipe.dataset, recipe.ipc, name, network, recipe.protocol)
            yield f"{spec}, {network}: {number}"


def run_script(dataset: str, ipc: int) -> str:
    """The script of one dataset at one IPC."""
    command = run_of(dataset, ipc)
    recipe = command.recipe()
    head = [
        *wrapped(
            f"{dataset} at {ipc} images per class with {', '.join(recipe.methods)}: distil, train "
            f"{', '.join(recipe.networks)} on the images ({recipe.protocol} protocol), score, print the "
            "table. Three seeds."
        ),
        "# Published top-1 accuracy, percent:",
        *(line for text in accuracies(recipe) for line in wrapped(text)),
        *wrapped(resources(estimates([command]))),
        *wrapped(_needs([dataset]) + "Any option of `uvlp reproduce` may follow."),
    ]
    body = f'exec "$environment/bin/uvlp" {command.options}{command.seeds} "$@"'
    return "\n".join(["#!/usr/bin/env bash", *head, PREAMBLE + body]) + "\n"


def _needs(datasets: list[str]) -> str:
    local = [dataset for dataset in datasets if dataset in OF_A_FOLDER]
    if not local:
        return "`--dry-run` prints the estimate for this machine. "
    return (
        f"Needs `--data FOLDER` with ILSVRC-2012 for {', '.join(local)} (train/ and val/ with one folder per "
        "WNID). `--dry-run` prints the estimate for this machine. "
    )


def table_script(name: str) -> str:
    """The script of one published table."""
    commands = commands_of_table(name)
    source = published.TABLES[name][0]
    here = commands[0].methods
    other = dict.fromkeys(cell.method for cell in published.table(name) if cell.method not in here)
    sets = list(dict.fromkeys(command.dataset for command in commands))
    ipcs = ", ".join(str(ipc) for ipc in dict.fromkeys(command.ipc for command in commands))
    head = [
        *wrapped(
            f"Published table {name} ({source}): {', '.join(sets)} at {ipcs} images per class with "
            f"{', '.join(here)}; {', '.join(commands[0].networks)}. Three seeds."
        ),
        *(
            wrapped(f"Also published there, for methods not implemented here: {', '.join(other)}.")
            if other
            else []
        ),
        *wrapped(resources(estimates(commands))),
        *wrapped(_needs(sets) + "Any option of `uvlp reproduce` may follow; it goes to every run."),
    ]
    body = [f'"$environment/bin/uvlp" {command.options}{command.seeds} "$@"' for command in commands]
    return "\n".join(["#!/usr/bin/env bash", *head, PREAMBLE + "\n".join(body)]) + "\n"


def scripts() -> dict[str, str]:
    """Every script by its file name."""
    runs = {f"{dataset}_ipc{ipc}.sh": run_script(dataset, ipc) for dataset, ipc in experiments()}
    return runs | {f"table_{name}.sh": table_script(name) for name in published.TABLES}


def main() -> None:
    """Write them all."""
    for name, text in scripts().items():
        path = FOLDER / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)


if __name__ == "__main__":
    main()
