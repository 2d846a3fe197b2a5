"""The declaration of a method, a file in `uvlp/methods`: how the distilled images are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, flag, function, of_module, positive_integer, some_of, text
from uvlp.declarations.settings import settings
from uvlp.recipes import overrides
from uvlp.recipes.schema import SynthesisSettings
from uvlp.recipes.variant import Variant, as_variant

FEATURES = ("images", "texts", "network")
MODELS = ("autoencoder", "transformer", "difffit", "stylegan_xl")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodDeclaration:
    """A method. One of four functions makes its images, which is its kind:

    - ``select``: it selects real images.
    - ``prototypes``: it makes prototypes, from which a diffusion model makes images.
    - ``optimise``: it optimises images, or latents of them, in iterations.
    - ``sample``: it makes one batch of images after the other.

    Attributes:
        origin: package and file of the plug-in.
        revision: to be raised when results change, so that old artifacts are not reused.
        title: its name in tables.
        features: what it reads, any of ``"images"`` (CLIP features and VAE latents of the images),
            ``"texts"`` (CLIP features of their captions, and of the class names), ``"network"`` (features of
            a ResNetAP-10 trained on the entire dataset). Pixels, labels and names are always available.
        settings: class of its settings.
        variants: by name, what ``--method NAME:VARIANT`` changes (`recipes/variant.py`); declared with a
            text, or by the changed settings alone.
        select: ``select(inputs, settings, progress)``: the rows of real images, one list per class.
        prototypes: ``prototypes(inputs, settings, progress)``: a `ClassResult` per class, listed or yielded.
        optimise: ``optimise(inputs, settings, progress)``: an `Optimisation`
            (`methods/algorithms/optimising/optimisation.py`), which is resumed after an interruption.
        sample: ``sample(inputs, settings, progress, done)``: an iterator over batches of images, pairs of
            their rows (class index * ipc + slot) and uint8 [n, H, W, 3]; ``done`` rows, in its own order,
            are already finished. A batch must not depend on earlier ones.
        profiles: changed settings by profile: ``{"nano": {"iterations": 2}}``.
        network: with ``optimise`` or ``sample``: ``network(settings, size_px)``: the network of
            `uvlp/networks` that it trains or uses at random, with its depth.
        teacher: the same: ``teacher(settings, size_px)``: the architecture (`training/rded_networks.py`) of a
            teacher, trained on the entire dataset, that it reads.
        models: the same: parts of the diffusion models that it reads, as folders in ``inputs.models``, any of
            ``"autoencoder"`` (the VAE), ``"transformer"`` (a class-conditional DiT with its VAE),
            ``"difffit"`` (that DiT, fine-tuned for `minimax`); or ``"stylegan_xl"`` alone, the user's.
        models_of: ``models(settings)``: the same, if they depend on its settings.
        check_models: ``check_models(settings, folders)`` raises `UvlpError` for published models, folders by
            part, that do not fit the settings, before anything is made.
        passes: the same: ``passes(settings, *, ipc, classes, images, size_px)``: number of images that pass
            forward through each network, by its name, for time estimates; a backward pass counts as two.
        held: the same: ``held(settings, *, ipc, classes, images, size_px)``: what is in a GPU's memory at
            once, by network, in images of which a training step keeps the activations
            (`recipes/workload.py`).
        soft_labels: it is published with the soft labels of a teacher, as of protocol rded.
        whole_set: with ``select``: it uses all images, so its result depends on neither IPC nor seed.
        synthesis: with ``prototypes``: its default settings, overridden by a recipe's for all methods.
        captions: with ``prototypes``: it reads captions.
        finetuned: with ``prototypes``: a published diffusion model is fine-tuned first.
        long_prompts: with ``prototypes``: texts of more than 77 tokens are not truncated.
        per_class: with ``prototypes``: a class's result depends on no other class, so that several jobs share
            the classes, and finished ones are kept when a run is interrupted. ``inputs.classes`` may then be
            some of them.
        features_of: ``features(settings)``: the features that it reads, if they depend on its settings.
        check: ``check(settings, ipc, counts, last)`` raises `UvlpError` for impossible settings before
            anything is made; counts: images of every class; last: index of the class visited last, None if
            unknown.
        operations: ``operations(images, ipc, width, latents)``: floating-point operations for a class with
            that many images, values per feature and values per latent; for time estimates.
        effective: ``effective(settings, ipc)``: the settings with automatic values resolved, and those that
            have no effect beside others at their defaults; variants that agree in them are not run twice.
    """

    origin: Origin
    revision: int = constant("an integer of at least 1", positive_integer)
    title: str = constant("a text", text)
    features: tuple[str, ...] = constant(
        f"a tuple of some of {', '.join(map(repr, FEATURES))}", some_of(*FEATURES), ()
    )
    settings: type[Any] = settings()
    variants: Mapping[str, Variant] = constant(
        "a dictionary of variants, each a dictionary of settings or variant(TEXT, SETTING=VALUE, ...)",
        lambda value: isinstance(value, Mapping),
        {},
    )
    select: Callable[..., Any] | None = function("select", "inputs, settings, progress", default=None)
    prototypes: Callable[..., Any] | None = function("prototypes", "inputs, settings, progress", default=None)
    optimise: Callable[..., Any] | None = function("optimise", "inputs, settings, progress", default=None)
    sample: Callable[..., Any] | None = function("sample", "inputs, settings, progress, done", default=None)
    profiles: Mapping[str, Mapping[str, Any]] = constant(
        "a dictionary of dictionaries of settings", lambda value: isinstance(value, Mapping), {}
    )
    network: Callable[..., str] | None = function("network", "settings, size_px", default=None)
    teacher: Callable[..., str] | None = function("teacher", "settings, size_px", default=None)
    models: tuple[str, ...] = constant(
        f"a tuple of some of {', '.join(map(repr, MODELS))}", some_of(*MODELS), ()
    )
    models_of: Callable[..., Any] | None = function("models", "settings", default=None)
    check_models: Callable[..., Any] | None = function("check_models", "settings, folders", default=None)
    passes: Callable[..., Mapping[str, float]] | None = function(
        "passes", "settings, *, ipc, classes, images, size_px", default=None
    )
    held: Callable[..., Mapping[str, float]] | None = function(
        "held", "settings, *, ipc, classes, images, size_px", default=None
    )
    soft_labels: bool = constant("True or False", flag, False)
    whole_set: bool = constant("True or False", flag, False)
    synthesis: SynthesisSettings | None = constant(
        "SynthesisSettings(...)", lambda value: isinstance(value, SynthesisSettings), None
    )
    captions: bool = constant("True or False", flag, False)
    finetuned: bool = constant("True or False", flag, False)
    long_prompts: bool = constant("True or False", flag, False)
    per_class: bool = constant("True or False", flag, False)
    features_of: Callable[..., Any] | None = function("features", "settings", default=None)
    check: Callable[..., Any] | None = function("check", "settings, ipc, counts, last", default=None)
    operations: Callable[..., Any] | None = function(
        "operations", "images, ipc, width, latents", default=None
    )
    effective: Callable[..., Any] | None = function("effective", "settings, ipc", default=None)

    def reads(self, settings: Any) -> tuple[str, ...]:
        """The features that it reads with these settings.

        Raises:
            UvlpError: its function `features` returns an invalid value.
        """
        if self.features_of is None:
            return self.features
        returned = self.features_of(settings)
        if not some_of(*FEATURES)(returned):
            allowed = f"a tuple of some of {', '.join(map(repr, FEATURES))}"
            raise UvlpError(f"{self.origin.file}: features must return {allowed}", got=returned)
        return tuple(returned)

    def reads_models(self, settings: Any) -> tuple[str, ...]:
        """The parts of the models that it reads with these settings.

        Raises:
            UvlpError: its function `models` returns an invalid value.
        """
        if self.models_of is None:
            return self.models
        returned = self.models_of(settings)
        if not some_of(*MODELS)(returned):
            allowed = f"a tuple of some of {', '.join(map(repr, MODELS))}"
            raise UvlpError(f"{self.origin.file}: models must return {allowed}", got=returned)
        return tuple(returned)


def order_of(settings: Any) -> str:
    """The order of images: ``"file"`` (as listed) or ``"published"`` (methods.md A.1).

    It is the setting `order`; a method without it uses ``"file"``.
    """
    return str(getattr(settings, "order", "file"))


KINDS: Mapping[str, tuple[str, ...]] = {
    "select": ("whole_set",),
    "prototypes": ("synthesis", "captions", "finetuned", "long_prompts", "per_class"),
    "optimise": ("network", "teacher", "models", "models_of", "check_models", "passes", "held"),
    "sample": ("network", "teacher", "models", "models_of", "check_models", "passes", "held"),
}
"""The functions of which a method has one, and the fields that apply to it alone."""


@cache
def declared_method(name: str) -> MethodDeclaration:
    """The declaration of a method.

    Raises:
        UvlpError: an unknown name, or a field that is missing, invalid or misspelt.
    """
    declaration = of_module(MethodDeclaration, plugins.find("methods", name))
    _check_kind(declaration)
    _check_profiles(declaration)
    if declaration.prototypes is not None and declaration.synthesis is None:
        declaration = replace(declaration, synthesis=SynthesisSettings())
    return replace(declaration, variants=dict(_variants(declaration)))


def _check_kind(declaration: MethodDeclaration) -> None:
    """Refuse a method of no or several kinds, and fields of another kind."""
    file = declaration.origin.file
    kinds = [name for name in KINDS if getattr(declaration, name) is not None]
    if len(kinds) != 1:
        got = " and ".join(kinds) or "none of them"
        raise UvlpError(f"{file}: the functions {', '.join(KINDS)}", got=got, allowed="one of them")
    (kind,) = kinds
    for name in dict.fromkeys(name for others in KINDS.values() for name in others):
        if name not in KINDS[kind] and (value := getattr(declaration, name)):
            written = name if callable(value) else name.upper()
            raise UvlpError(
                f"{file}: {written} does not apply to the function {kind}",
                got=None if callable(value) else value,
                fix="remove it",
            )


NAME_OF_VARIANT = re.compile(r"[^\s:,+]+")


def _variants(declaration: MethodDeclaration) -> Iterator[tuple[str, Variant]]:
    """Yield the variants by name, each with a text."""
    for name, declared in declaration.variants.items():
        what = f"{declaration.origin.file}: VARIANTS[{name!r}]"
        if not isinstance(name, str) or not NAME_OF_VARIANT.fullmatch(name):
            raise UvlpError(what, got=name, allowed="a name without blanks, colons, commas and plus signs")
        try:
            variant = as_variant(declared)
            settings = dict(variant.changes)
            if declaration.synthesis is not None:
                overrides.merge(declaration.synthesis, settings.pop("synthesis", {}))
            overrides.merge(declaration.settings(), settings)
        except (UvlpError, AttributeError, TypeError, ValueError) as error:
            allowed = "fields of Settings, and `synthesis` with those of SynthesisSettings"
            raise UvlpError(what, got=getattr(error, "got", declared), allowed=allowed) from error
        if not text(variant.text):
            raise UvlpError(what, got=variant.text, allowed="a line that says what it changes")
        yield name, variant


def _check_profiles(declaration: MethodDeclaration) -> None:
    """Refuse profiles that change a setting that does not exist."""
    for name, changes in declaration.profiles.items():
        try:
            overrides.merge(declaration.settings(), changes)
        except (UvlpError, AttributeError, TypeError, ValueError) as error:
            what = f"{declaration.origin.file}: PROFILES[{name!r}]"
            allowed = "a dictionary of fields of Settings"
            raise UvlpError(what, got=getattr(error, "got", changes), allowed=allowed) from error
