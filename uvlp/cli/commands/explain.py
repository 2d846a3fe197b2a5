"""`uvlp explain`: one page about a method as it would run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from uvlp.cli import completion
from uvlp.cli.options import Options, argument, dataset_option, ipc_option, takes

if TYPE_CHECKING:
    from uvlp.recipes.schema import Recipe

MethodArgument = Annotated[
    str,
    argument(
        metavar="METHOD",
        autocompletion=completion.methods,
        help="a method, with a variant or without: uvlp, uvlp:no-outliers (`uvlp list methods`)",
    ),
]
OnDatasetOption = Annotated[
    str | None,
    dataset_option("the dataset that it would run on [digits]"),
]
AtIpcOption = Annotated[
    int | None,
    ipc_option("images per class [10]"),
]


@takes("networks", "profile", "protocol", "settings", "store", "as_json", "debug")
def explain(
    method: MethodArgument, options: Options, dataset: OnDatasetOption = None, ipc: AtIpcOption = None
) -> None:
    """Explain a method: steps, settings with sources, deviations, what it reads and costs, what made it.

    Example: uvlp explain uvlp --dataset imagenette --set uvlp.top_k=3
    """
    from uvlp.cli.printing import screen
    from uvlp.core.files.paths import store_folder
    from uvlp.pipeline.explanation import page
    from uvlp.pipeline.explanation.explain import explain as explained

    changes: dict[str, dict[str, Any]] = {
        f"profile {options['profile']}": {"profile": options["profile"]},
        "--protocol, --network": {name: options[name] for name in ("protocol", "networks")},
        "--set": {"settings": options["settings"]},
    }
    found = recipes(method, dataset if dataset is not None else "digits", ipc or 10, changes)
    explanation = explained(list(found), store_folder(options["store"]).absolute())
    if options["as_json"]:
        print(json.dumps(explanation.json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(page.lines(explanation, screen.width())))


def recipes(
    method: str, dataset: str, ipc: int, changes: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Recipe]]:
    """Yield the recipe by what changed it: the dataset's own, then with each of the options.

    Args:
        changes: fields of a `Request` by what changes them; those that are None were not given.
    """
    from uvlp.pipeline.requests.resolve import resolve
    from uvlp.recipes.requests.request import Request

    name, _, variant = method.partition(":")
    request = Request(dataset=dataset, ipc=ipc)
    yield f"recipe of {dataset}", replace(resolve(request), methods=(name,))
    for label, options in changes.items():
        given = {option: value for option, value in options.items() if value is not None}
        if given:
            request = replace(request, **given)
            yield label, replace(resolve(request), methods=(name,))
    if ":" in method:
        yield f"variant {variant}", replace(resolve(request), methods=(method,))
