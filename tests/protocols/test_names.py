import pytest

from uvlp.core.errors import UvlpError
from uvlp.protocols.minimax import split_network


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convnet-3", ("convnet", 3)),
        ("resnet-18", ("resnet", 18)),
        ("resnet-ap-10", ("resnet_ap", 10)),
        ("resnet_ap_10", ("resnet_ap", 10)),
    ],
)
def test_a_name_is_a_family_and_a_depth(name: str, expected: tuple[str, int]) -> None:
    assert split_network(name) == expected


@pytest.mark.parametrize(
    "name", ["convnet", "convnet-", "convnet3", "convnet-0", "-3", "", "resnet-ap", "ConvNet-3"]
)
def test_a_name_without_a_depth_is_an_error_that_shows_one(name: str) -> None:
    with pytest.raises(UvlpError, match="network without a depth: .*convnet-3"):
        split_network(name)
