"""Invalid return values of a method are refused with the method's file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from uvlp.artifacts.features import Latents
from uvlp.artifacts.prototypes import Prototype
from uvlp.core.errors import UvlpError
from uvlp.methods.algorithms.method_input import ClassData, ClassResult, MethodInput
from uvlp.methods.algorithms.returned import check_results, check_rows

FILE, IPC = "uvlp/methods/x.py", 2
LATENTS = np.zeros((8, 4, 3, 3), dtype=np.float32)


def given() -> MethodInput:
    """Two classes of four images."""
    classes = [
        ClassData(
            id=f"c{index}",
            name=f"class {index}",
            synonyms="",
            index=index,
            prompt="",
            rows=tuple(range(4 * index, 4 * index + 4)),
            arrays={"latents": Latents(LATENTS, LATENTS, lambda row: LATENTS[row])},
        )
        for index in range(2)
    ]
    return MethodInput(classes=classes, last_visited=1, names=None, ipc=IPC, seed=0)


def results() -> list[ClassResult]:
    return [
        ClassResult(
            latents=np.zeros((IPC, 4, 3, 3), dtype=np.float32),
            prototypes=[
                Prototype(class_id=data.id, slot=slot, text="", members=data.rows, latent_members=())
                for slot in range(IPC)
            ],
            notes={"counted": 1},
        )
        for data in given().classes
    ]


def test_valid_results_are_returned_unchanged() -> None:
    made = results()
    assert list(check_results(tuple(made), given(), FILE)) == made
    assert list(check_results(iter(made), given(), FILE)) == made
    assert check_rows([[0, 1], [np.int64(4), 5]], given(), FILE, whole_set=False) == [[0, 1], [4, 5]]
    assert check_rows([[0], [4, 5, 6]], given(), FILE, whole_set=True) == [[0], [4, 5, 6]]


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (np.zeros((2, 2), dtype=int), "ndarray int64 [2, 2]"),
        (None, "NoneType"),
        ([[0, 1]], "1 of them"),
        ([[0, 1], 4], "int"),
        ([[0, 1], [4, 3]], 3),
        ([[0, 1], [4, 8]], 8),
        ([[0, 1], [4, 5.0]], 5.0),
        ([[0, 1], [4, 4]], "a duplicate row"),
        ([[0, 1], [4]], "1 rows"),
        ([[0, 1], [4, 5, 6]], "3 rows"),
    ],
)
def test_invalid_rows_are_refused(returned: Any, got: Any) -> None:
    with pytest.raises(UvlpError) as refused:
        check_rows(returned, given(), FILE, whole_set=False)
    assert refused.value.what.startswith(f"{FILE}: select must return") and refused.value.got == got


Change = Callable[[list[ClassResult]], Any]


def changed(**fields: Any) -> Change:
    return lambda made: [made[0], replace(made[1], **fields)]


def described(**fields: Any) -> Change:
    return lambda made: changed(prototypes=[made[1].prototypes[0], replace(made[1].prototypes[1], **fields)])(
        made
    )


@pytest.mark.parametrize(
    ("change", "wanted", "got"),
    [
        (lambda made: made[0].latents, "one ClassResult per class", "ndarray float32 [2, 4, 3, 3]"),
        (lambda made: made[:1], "one ClassResult per class", "1 of them"),
        (lambda made: iter(made[:1]), "one ClassResult per class", "1 of them"),
        (lambda made: iter([*made, *made]), "one ClassResult per class", "more than 2 of them"),
        (lambda made: None, "one ClassResult per class", "NoneType"),
        (
            lambda made: [made[0], made[1].latents],
            "one ClassResult",
            "ndarray float32 [2, 4, 3, 3] among them",
        ),
        (changed(latents=[1.0]), "latents float32 [2, 4, 3, 3] for the class c1", "list"),
        (changed(latents=np.zeros((IPC, 4, 3, 3))), "latents float32", "ndarray float64 [2, 4, 3, 3]"),
        (changed(latents=LATENTS[:3]), "latents float32 [2", "ndarray float32 [3, 4, 3, 3]"),
        (changed(latents=LATENTS[:2, :, :2]), "[2, 4, 3, 3]", "ndarray float32 [2, 4, 2, 3]"),
        (changed(latents=LATENTS[:2] + [[[[0]]], [[[np.nan]]]]), "float32", "ndarray float64 [2, 4, 3, 3]"),
        (
            changed(latents=np.stack([LATENTS[0], LATENTS[0] * np.float32("nan")])),
            "finite latents",
            "a value that is not finite in slot 1",
        ),
        (changed(prototypes=[]), "2 of artifacts/prototypes.py's Prototype", "0 of them"),
        (changed(prototypes=["a", "b"]), "Prototype", "str among them"),
        (changed(notes=[]), "notes", "list"),
        (changed(notes={"share": 0.5}), "notes", "share: float"),
        (described(class_id="c0"), "class_id 'c1' in prototype 1", "c0"),
        (described(slot=0), "slot 1 in prototype 1", 0),
        (described(text=None), "a text in prototype 1", "NoneType"),
        (described(members=(4, 1)), "members out of the rows of the class c1", "int 1"),
        (described(latent_members=(np.int64(4),)), "latent_members", "int64 int64 [] 4"),
        (described(details={"a": {1, 2}}), "details that can be stored as JSON", "Object of type set"),
        (described(details={"a": float("nan")}), "details that can be stored as JSON", "Out of range"),
    ],
)
def test_invalid_results_are_refused(change: Change, wanted: str, got: object) -> None:
    with pytest.raises(UvlpError) as refused:
        list(check_results(change(results()), given(), FILE))
    assert refused.value.what.startswith(f"{FILE}: prototypes must return ")
    assert wanted in refused.value.what and str(refused.value.got).startswith(str(got))


def test_latents_of_all_classes_must_have_the_same_shape() -> None:
    without_latents = replace(given(), classes=[replace(data, arrays={}) for data in given().classes])
    assert list(check_results(results(), without_latents, FILE))
    other = changed(latents=LATENTS[:2, :, :2])(results())
    with pytest.raises(UvlpError) as refused:
        list(check_results(other, without_latents, FILE))
    assert "[2, 4, 3, 3]" in refused.value.what


def test_the_missing_entry_of_features_is_suggested() -> None:
    for name, part in (("image", "images"), ("latents", "images"), ("text", "texts"), ("network", "network")):
        data = replace(given().classes[0], arrays={})
        with pytest.raises(UvlpError) as refused:
            getattr(data, name)
        assert repr(part) in str(refused.value.fix)


def test_features_that_were_not_asked_for_are_named_with_the_file() -> None:
    data = replace(given().classes[0], file=FILE)
    with pytest.raises(UvlpError) as caught:
        _ = data.image
    assert FILE in caught.value.what and "images" in str(caught.value.fix)
