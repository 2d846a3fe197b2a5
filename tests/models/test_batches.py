"""A batch is split until its parts fit, and every item is processed once."""

import pytest
import torch

from uvlp.core.errors import UvlpError
from uvlp.models.batches import in_halves


def limited(fits: int):
    def compute(part):
        if len(part) > fits:
            raise torch.OutOfMemoryError("too much")
        return [10 * item for item in part]

    return compute


@pytest.mark.parametrize(("fits", "sizes"), [(1, 5), (2, 3), (3, 2), (4, 2), (5, 1)])
def test_a_batch_is_split_until_its_parts_fit(fits: int, sizes: int) -> None:
    messages: list[str] = []
    results = in_halves(limited(fits), range(5), messages.append)
    assert [value for result in results for value in result] == [0, 10, 20, 30, 40]
    assert len(results) == sizes and len(messages) == sizes - 1


def test_a_single_item_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UvlpError) as caught:
        in_halves(limited(0), [1, 2, 3], lambda _: None)
    assert "too little GPU memory" in caught.value.what


def test_other_exceptions_are_raised() -> None:
    def compute(part):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        in_halves(compute, [1], lambda _: None)
