"""A network without a depth is refused with the depths that it has."""

import pytest

from uvlp.core.errors import UvlpError
from uvlp.declarations.network import canonical


@pytest.mark.parametrize(("name", "first"), [("resnet_ap", "resnet-ap-10"), ("ConvNet", "convnet-1")])
def test_the_depths_of_the_network_that_was_meant_are_named(name: str, first: str) -> None:
    with pytest.raises(UvlpError) as caught:
        canonical(name)
    assert caught.value.got == name and first in str(caught.value.fix)
    assert first in str(caught.value.allowed).split(", ")
