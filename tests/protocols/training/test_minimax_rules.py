import pytest

from uvlp.protocols.training.minimax_rules import optimisation, validated_epochs


@pytest.mark.parametrize(
    ("epochs", "validations", "expected"),
    [
        (300, 20, tuple(range(15, 301, 15))),
        (3, 20, (1, 2, 3)),
        (7, 3, (3, 5, 7)),
        (1, 1, (1,)),
        (10, 1, (10,)),
    ],
)
def test_validations_are_evenly_spaced_and_include_the_last_epoch(
    epochs: int, validations: int, expected: tuple[int, ...]
) -> None:
    assert validated_epochs(epochs, validations) == expected


@pytest.mark.parametrize("epochs", [21, 50, 59, 199])
def test_the_number_of_validations_is_the_requested_one(epochs: int) -> None:
    found = validated_epochs(epochs, 20)
    assert len(found) == 20 and found[-1] == epochs


def test_more_than_a_hundred_classes_have_their_own_hyperparameters() -> None:
    rules = optimisation(101, lr=0.01, weight_decay=5e-4, batch=200)
    assert (rules.lr, rules.weight_decay, rules.batch) == (0.1, 1e-4, 200)
