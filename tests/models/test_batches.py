"""Batches are halved until they fit, and every item is processed once."""

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models.batches import in_batches, in_halves


def limited(fits: int):
    def compute(part):
        if len(part) > fits:
            raise torch.OutOfMemoryError("too much")
        return [10 * item for item in part]

    return compute


@pytest.mark.parametrize("fits", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_every_item_is_processed_once_and_in_order(fits: int, batch: int) -> None:
    messages: list[str] = []
    pairs = list(in_batches(limited(fits), range(23), batch, messages.append))
    assert [item for part, _ in pairs for item in part] == list(range(23))
    assert [value for _, results in pairs for value in results] == list(range(0, 230, 10))
    assert max(len(part) for part, _ in pairs) <= min(fits, batch)
    assert bool(messages) == (batch > fits)


@pytest.mark.parametrize(("fits", "sizes"), [(1, 5), (2, 3), (3, 2), (4, 2), (5, 1)])
def test_a_batch_is_split_until_its_parts_fit(fits: int, sizes: int) -> None:
    messages: list[str] = []
    results = in_halves(limited(fits), range(5), messages.append)
    assert [value for result in results for value in result] == [0, 10, 20, 30, 40]
    assert len(results) == sizes and len(messages) == sizes - 1


def test_a_single_item_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        list(in_batches(limited(0), [1, 2, 3], 4, lambda _: None))
    assert "too little GPU memory" in caught.value.what


def test_other_exceptions_are_raised() -> None:
    def compute(part):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        list(in_batches(compute, [1], 4, lambda _: None))
