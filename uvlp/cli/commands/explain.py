"""`uvlp explain`: one page about a method as it would run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvlp.cli.options import (
    WHAT,
    DebugOption,
    JsonOption,
    NetworkOption,
    ProfileOption,
    ProtocolOption,
    SetOption,
    counted,
)

if TYPE_CHECKING:
    from uvlp.recipes.schema import Recipe

MethodArgument = Annotated[
    str,
    typer.Argument(
        metavar="METHOD",
        help="a method, with a variant or without: uvlp, uvlp:no-outliers (`uvlp list methods`)",
        rich_help_panel=WHAT,
    ),
]
OnDatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset", metavar="NAME", help="the dataset that it would run on [digits]", rich_help_panel=WHAT
    ),
]
AtIpcOption = Annotated[
    int | None,
    typer.Option(
        "--ipc", metavar="N", parser=counted("--ipc"), help="images per class [10]", rich_help_panel=WHAT
    ),
]


def explain(
    method: MethodArgument,
    dataset: OnDatasetOption = None,
    ipc: AtIpcOption = None,
    profile: ProfileOption = None,
    protocol: ProtocolOption = None,
    network: NetworkOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Explain a method: its steps, their settings with sources, deviations, what it reads and costs.

    Example: uvlp explain uvlp --dataset imagenette --set uvlp.top_k=3
    """
    from uvlp.pipeline.explanation import page
    from uvlp.pipeline.explanation.explain import explain as explained

    changes: dict[str, dict[str, Any]] = {
        f"profile {profile}": {"profile": profile},
        "--protocol, --network": {"protocol": protocol, "networks": network},
        "--set": {"settings": settings},
    }
    explanation = explained(
        list(recipes(method, dataset if dataset is not None else "digits", ipc or 10, changes))
    )
    if as_json:
        print(json.dumps(explanation.json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(page.lines(explanation)))


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
