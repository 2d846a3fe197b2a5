"""Seeds are equal for equal names on every machine, and unrelated otherwise."""

from uvlp.core.seeds import derive, numpy_generator, torch_generator


def test_derived_seeds_are_pinned() -> None:
    assert derive(0, "synthesise", "uvlp", "3", 7) == 5169872920513135244


def test_every_part_changes_the_seed() -> None:
    seeds = {derive(0, "a", 1), derive(1, "a", 1), derive(0, "b", 1), derive(0, "a", 2), derive(0, "a1")}
    assert len(seeds) == 5


def test_generators_use_the_derived_seed() -> None:
    assert torch_generator(0, "x").initial_seed() == derive(0, "x")
    assert numpy_generator(0, "x").integers(1 << 30) == numpy_generator(0, "x").integers(1 << 30)
