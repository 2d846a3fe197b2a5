"""Requests: one normal form for every way in, and bad values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uvlp.core.errors import UvlpError
from uvlp.recipes.requests.request import Request, override


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ({"methods": "random, uvlp"}, ("random", "uvlp")),
        ({"methods": ["random,uvlp", "random"]}, ("random", "uvlp")),
        ({"seeds": "0,1"}, (0, 1)),
        ({"seeds": 3}, (3,)),
        ({"seeds": range(2)}, (0, 1)),
        ({"seeds": ["01", 1]}, (1,)),
        ({"ipc": "10"}, 10),
        ({"ipc": np.int64(10)}, 10),
        ({"alpha": "0.5"}, 0.5),
        ({"data": Path("x")}, "x"),
        ({"settings": ["evaluate.epochs=3"]}, (("evaluate.epochs", "3"),)),
        ({"settings": {"evaluate.epochs": 3}}, (("evaluate.epochs", 3),)),
        ({"images": "a,b=c"}, ("a,b=c",)),
    ],
)
def test_every_spelling_of_a_value_has_one_normal_form(given: dict[str, Any], normal: object) -> None:
    (name,) = given
    assert getattr(Request(dataset="digits", **given), name) == normal


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"ipc": 0}, "IPC must be an integer"),
        ({"ipc": True}, "IPC must be an integer"),
        ({"ipc": 2.0}, "IPC must be an integer"),
        ({"ipc": "1_0"}, "IPC must be an integer"),
        ({"seeds": -1}, "seed must be an integer"),
        ({"seeds": 2**32}, "seed must be an integer"),
        ({"seeds": "x"}, "seed must be an integer"),
        ({"seeds": []}, "no seeds given"),
        ({"methods": [3]}, "methods must be a text"),
        ({"methods": [["a"]]}, "methods must be a text"),
        ({"networks": ","}, "no networks given"),
        ({"profile": ""}, "--profile is empty"),
        ({"dataset": 3}, "dataset must be a text"),
        ({"portable": 1}, "--portable must be true or false"),
        ({"alpha": "x"}, "--alpha must be a number"),
        ({"alpha": float("nan")}, "--alpha must be a number"),
        ({"settings": ["x"]}, "--set needs key=value"),
        ({"settings": "a=1"}, "--set needs key=value"),
        ({"workers": 1025}, "--workers must be an integer"),
    ],
)
def test_bad_values_are_named(given: dict[str, Any], what: str) -> None:
    with pytest.raises(UvlpError) as caught:
        Request(**{"dataset": "digits", **given})
    assert caught.value.what == what


def test_options_replace_fields_and_what_they_imply_of_the_settings() -> None:
    base = Request(dataset="digits", ipc=10, settings={"uvlp.alpha": 0.1, "uvlp.top_k": 3})
    new = override(base, {"alpha": 0.5, "ipc": 5, "settings": ["uvlp.top_k=4"]})
    assert (new.ipc, new.alpha) == (5, 0.5)
    assert new.settings == (("uvlp.top_k", 3), ("uvlp.top_k", "4"))
