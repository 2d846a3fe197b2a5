"""Batches that shrink until they fit, with nothing lost and nothing twice."""

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models.batches import in_batches


def machine(fits: int):
    def compute(part):
        if len(part) > fits:
            raise torch.OutOfMemoryError("too much")
        return [10 * item for item in part]

    return compute


@pytest.mark.parametrize("fits", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("batch", [1, 4, 7, 64])
def test_every_item_once_and_in_order(fits: int, batch: int) -> None:
    said: list[str] = []
    pairs = list(in_batches(machine(fits), range(23), batch, said.append))
    assert [item for part, _ in pairs for item in part] == list(range(23))
    assert [value for _, made in pairs for value in made] == list(range(0, 230, 10))
    assert max(len(part) for part, _ in pairs) <= min(fits, batch)
    assert bool(said) == (batch > fits)


def test_one_that_does_not_fit_is_one_line() -> None:
    with pytest.raises(UvlpError, match="too little GPU memory for a batch of one"):
        list(in_batches(machine(0), [1, 2, 3], 4, lambda _: None))


def test_other_errors_are_not_hidden() -> None:
    def compute(part):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        list(in_batches(compute, [1], 4, lambda _: None))
