"""Requests that no machine could carry out are refused before planning."""

import pytest

from uvlp.cli import app
from uvlp.core.errors import UvlpError


def refused(*arguments: str) -> UvlpError:
    """Return the error with which the command line refuses the arguments."""
    with pytest.raises(UvlpError) as caught:
        app.app(list(arguments), standalone_mode=False)
    return caught.value


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--repeats", "100000000"), 10**8),
        (("--seed", ",".join(map(str, range(20_000)))), 60_000),
        (("--network", ",".join(f"convnet-{depth}" for depth in range(1, 4000))), 11_997),
    ],
)
def test_too_many_trainings_are_refused(arguments: tuple[str, ...], count: int) -> None:
    error = refused("reproduce", "digits", "10", "--method", "random", *arguments)
    assert "trainings of one table" in error.what
    assert error.got == count
    assert error.allowed == "at most 10000"


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("evaluate.epochs", 10**9, "0 to 1000000"),
        ("evaluate.epochs_full", 10**9, "1 to 1000000"),
        ("evaluate.validations", 10**9, "1 to 10000"),
        ("evaluate.width", 10**9, "0 to 16384"),
        ("finetune.epochs", 10**9, "1 to 1000000"),
        ("embedder.layers", 10**9, "1 to 1024"),
        ("embedder.width", 10**9, "1 to 16384"),
    ],
)
def test_huge_settings_are_refused(setting: str, value: int, allowed: str) -> None:
    error = refused("reproduce", "digits", "10", "--set", f"{setting}={value}")
    assert setting in error.what
    assert (str(error.got), error.allowed) == (str(value), allowed)


def test_nested_brackets_are_not_a_number() -> None:
    error = refused("reproduce", "digits", "10", "--set", "evaluate.epochs=" + "[" * 100_000)
    assert "setting epochs" in error.what
    assert len(str(error)) < 3000


@pytest.mark.parametrize("network", ["convnet-1000000", "resnet-" + "9" * 5000])
def test_depth_with_many_digits_is_refused(network: str) -> None:
    error = refused("reproduce", "digits", "10", "--network", network, "--dry-run")
    assert error.got == network
    assert "four digits" in str(error.allowed)
