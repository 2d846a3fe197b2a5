"""Names without imports, and unknown names with the nearest one."""

import pytest

from uvlp.core import plugins
from uvlp.core.errors import UvlpError


def test_a_file_is_a_name() -> None:
    assert {"random", "k-center", "herding", "d4m", "vlcp", "uvlp", "full"} <= set(plugins.names("methods"))


def test_both_spellings_load_the_same() -> None:
    assert plugins.load("methods", "k-center") is plugins.load("methods", "k_center")


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UvlpError, match="unknown method: got 'hering'.*did you mean 'herding'"):
        plugins.load("methods", "hering")
