"""The request and the execution that the options of a command describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from uvlp.cli.options import Options
from uvlp.cli.run import Execution
from uvlp.recipes.requests.request import Request


def request_of(options: Options, **own: Any) -> Request:
    """Return the request of a command's shared options and of its own arguments.

    Raises:
        UvlpError: see `Request`.
    """
    return Request(**given({**options, **own}))


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that were given; those that equal their defaults were not."""
    usual = {each.name: each.default for each in fields(Request)}
    return {
        name: value
        for name, value in values.items()
        if name in usual and value is not None and value != usual[name]
    }


def execution_of(options: Options, **own: Any) -> Execution:
    """Return how a command's options say that a request is carried out."""
    names = {each.name for each in fields(Execution)}
    return Execution(**{name: value for name, value in {**options, **own}.items() if name in names})
