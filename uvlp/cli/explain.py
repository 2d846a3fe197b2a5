"""`uvlp explain`: one page about a method as it would run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from uvlp.cli.options import WHAT, DebugOption, JsonOption, ProfileOption, SetOption, counted

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
    settings: SetOption = None,
    as_json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Explain a method: its steps, their settings with sources, deviations, what it reads and costs.

    Example: uvlp explain uvlp --dataset imagenette --set uvlp.top_k=3
    """
    from uvlp.pipeline.explanation import page
    from uvlp.pipeline.explanation.explain import explain as explained

    explanation = explained(
        list(recipes(method, dataset if dataset is not None else "digits", ipc or 10, profile, settings))
    )
    if as_json:
        print(json.dumps(explanation.json(), indent=1, ensure_ascii=False))
    else:
        print("\n".join(page.lines(explanation)))


def recipes(
    method: str, dataset: str, ipc: int, profile: str | None, settings: list[str] | None
) -> Iterator[tuple[str, Recipe]]:
    """Yield the recipe by what changed it: the dataset's own, then with each of the options."""
    from dataclasses import replace

    from uvlp.cli.request import Request, resolve

    name, _, variant = method.partition(":")
    request = Request(dataset=dataset, ipc=ipc)
    for label, given, spec in (
        (f"recipe of {dataset}", {}, name),
        (f"profile {profile}" if profile is not None else "", {"profile": profile}, name),
        ("--set" if settings else "", {"settings": settings}, name),
        (f"variant {variant}" if ":" in method else "", {}, method),
    ):
        if label:
            request = replace(request, **given)
            yield label, replace(resolve(request), methods=(spec,))
