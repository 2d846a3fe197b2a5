import numpy
import torch

from uvlp.models.device import send


def test_values_and_types_arrive() -> None:
    array = numpy.arange(6).reshape(2, 3).T
    assert torch.equal(send(array, "cpu"), torch.tensor([[0, 3], [1, 4], [2, 5]]))
    assert send(array, "cpu", torch.float32).dtype == torch.float32
    assert send(array > 2, torch.device("cpu")).dtype == torch.bool


def test_it_goes_to_the_device() -> None:
    sent = send(numpy.zeros(3), "meta", torch.float32)
    assert (sent.device.type, sent.dtype, sent.shape) == ("meta", torch.float32, (3,))
