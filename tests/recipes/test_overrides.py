"""`--set` changes one field, checked by name and type."""

import pytest

from uvlp.core.errors import UvlpError
from uvlp.datasets.digits import recipe
from uvlp.recipes import overrides, profiles
from uvlp.recipes.schema import Recipe, SynthesisSettings


@pytest.mark.parametrize(
    ("path", "text", "read"),
    [
        ("evaluate.epochs", "7", lambda r: r.evaluate.epochs == 7),
        ("evaluate.lr", "1", lambda r: r.evaluate.lr == 1.0 and isinstance(r.evaluate.lr, float)),
        ("caption.captioner", "file", lambda r: r.caption.captioner == "file"),
        ("autoencoder.channels", "8,16", lambda r: r.autoencoder.channels == (8, 16)),
        ("image_px", "64", lambda r: r.image_px == 64),
    ],
)
def test_a_field_is_set_in_its_type(path: str, text: str, read: object) -> None:
    assert callable(read) and read(overrides.apply(Recipe(), path, text))


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("evaluate.epoch", "7", "unknown setting: got 'epoch'.*did you mean 'epochs'"),
        (
            "evaluate.epochs",
            "many",
            "the setting epochs has another type: got 'many'; allowed: an integer",
        ),
        ("evaluate.epochs", "1.5", "another type"),
        ("evaluate.lr", "NaN", "another type: got 'NaN'; allowed: a number"),
        ("evaluate.lr", "-Infinity", "another type: got '-Infinity'; allowed: a number"),
        ("evaluate.deterministic", "yes", "another type: got 'yes'; allowed: true or false"),
        ("evaluate", "7", "the setting evaluate has parts"),
        ("ipc.x", "7", "the setting ipc has no parts"),
    ],
)
def test_a_wrong_change_is_one_line(path: str, text: str, words: str) -> None:
    with pytest.raises(UvlpError, match=words):
        overrides.apply(Recipe(), path, text)


def test_merge_keeps_what_is_not_named() -> None:
    merged = overrides.merge(SynthesisSettings(), {"strength": 0.5})
    assert (merged.strength, merged.guidance) == (0.5, SynthesisSettings().guidance)


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UvlpError, match="unknown profile: got 'huge'; allowed: nano, sd15, small, tiny"):
        profiles.apply(recipe(10), "huge")


def test_nano_has_two_steps_everywhere() -> None:
    nano = profiles.apply(recipe(10), "nano")
    assert {nano.embedder.steps, nano.autoencoder.steps, nano.diffuser.steps, nano.evaluate.epochs} == {2}
    assert nano.synthesis["steps"] == 2
