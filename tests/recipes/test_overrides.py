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
def test_value_is_converted_to_the_type_of_the_field(path: str, text: str, read: object) -> None:
    assert callable(read) and read(overrides.apply(Recipe(), path, text))


@pytest.mark.parametrize(
    ("path", "text", "what", "got", "hint"),
    [
        ("evaluate.epoch", "7", "unknown setting", "epoch", "'epochs'"),
        ("evaluate.epochs", "many", "wrong type of setting epochs", "many", "an integer up to"),
        ("evaluate.epochs", "1.5", "wrong type of setting epochs", "1.5", "an integer up to"),
        ("evaluate.lr", "NaN", "wrong type of setting lr", "NaN", "a number up to"),
        ("evaluate.lr", "-Infinity", "wrong type of setting lr", "-Infinity", "a number up to"),
        ("evaluate.deterministic", "yes", "wrong type of setting deterministic", "yes", "true or false"),
        ("evaluate", "7", "the setting evaluate has parts", "evaluate", "evaluate.epochs"),
        ("ipc.x", "7", "the setting ipc has no parts", "ipc.x", ""),
    ],
)
def test_wrong_change_is_refused(path: str, text: str, what: str, got: str, hint: str) -> None:
    with pytest.raises(UvlpError) as caught:
        overrides.apply(Recipe(), path, text)
    assert (caught.value.what, caught.value.got) == (what, got)
    assert hint in f"{caught.value.allowed} {caught.value.fix}"


def test_merge_keeps_other_fields() -> None:
    merged = overrides.merge(SynthesisSettings(), {"strength": 0.5})
    assert (merged.strength, merged.guidance) == (0.5, SynthesisSettings().guidance)


def test_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(UvlpError) as caught:
        profiles.apply(recipe(10), "huge")
    assert (caught.value.got, caught.value.allowed) == ("huge", "nano, sd15, small, tiny")


def test_nano_has_two_steps_everywhere() -> None:
    nano = profiles.apply(recipe(10), "nano")
    assert {nano.embedder.steps, nano.autoencoder.steps, nano.diffuser.steps, nano.evaluate.epochs} == {2}
    assert nano.synthesis["steps"] == 2
