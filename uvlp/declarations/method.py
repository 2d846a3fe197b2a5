"""What a file of `uvlp/methods` declares: how the images of a row come about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations.reading import constant, flag, function, of_module, some_of, text, whole
from uvlp.declarations.settings import check_section, settings
from uvlp.recipes import overrides
from uvlp.recipes.schema import SynthesisSettings

FEATURES = ("images", "texts", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodDeclaration:
    """A method: it either selects real images, or makes prototypes that a diffusion model turns into images.

    Attributes:
        origin: where it comes from.
        revision: raised when results change, so that old artifacts are not taken for new ones.
        title: what its row in a table is called.
        features: what it reads, any of ``"images"`` (CLIP features and VAE latents of the images),
            ``"texts"`` (CLIP features of their captions, and of the class names), ``"network"`` (features of
            a ResNetAP-10 trained on the whole set). Pixels, labels and names need none.
        settings: class of its settings.
        variants: by name, the settings that ``--method NAME:VARIANT`` changes.
        select: ``select(inputs, settings, progress)``: rows of real images, one list per class.
        prototypes: ``prototypes(inputs, settings, progress)``: a `ClassResult` per class.
        whole_set: of ``select``: it takes all images, and its result depends on neither IPC nor seed.
        synthesis: of ``prototypes``: its defaults; what a recipe says for all methods comes before them.
        captions: of ``prototypes``: it reads captions.
        finetuned: of ``prototypes``: with published models, the diffusion model is fine-tuned first.
        long_prompts: of ``prototypes``: texts of more than 77 tokens reach the diffusion model uncut.
        features_of: ``features(settings)``: what it reads with these settings, where that depends on them.
        check: ``check(settings, ipc, counts, last)`` raises `UvlpError` for what cannot work, before
            anything is made: images of every class, index of the class visited last (None: not known).
        operations: ``operations(images, ipc, width, latents)``: floating-point operations for one class of so
            many images, with so many values of a feature and of a latent; for estimates of time.
    """

    origin: Origin
    revision: int = constant("a whole number of 1 or more", whole)
    title: str = constant("a text", text)
    features: tuple[str, ...] = constant(
        f"a tuple of some of {', '.join(map(repr, FEATURES))}", some_of(*FEATURES), ()
    )
    settings: type[Any] = settings()
    variants: Mapping[str, Mapping[str, Any]] = constant(
        "a dictionary of dictionaries of settings", lambda value: isinstance(value, Mapping), {}
    )
    select: Callable[..., Any] | None = function("select", "inputs, settings, progress", default=None)
    prototypes: Callable[..., Any] | None = function("prototypes", "inputs, settings, progress", default=None)
    whole_set: bool = constant("True or False", flag, False)
    synthesis: SynthesisSettings | None = constant(
        "SynthesisSettings(...)", lambda value: isinstance(value, SynthesisSettings), None
    )
    captions: bool = constant("True or False", flag, False)
    finetuned: bool = constant("True or False", flag, False)
    long_prompts: bool = constant("True or False", flag, False)
    features_of: Callable[..., Any] | None = function("features", "settings", default=None)
    check: Callable[..., Any] | None = function("check", "settings, ipc, counts, last", default=None)
    operations: Callable[..., Any] | None = function(
        "operations", "images, ipc, width, latents", default=None
    )

    def reads(self, settings: Any) -> tuple[str, ...]:
        """The parts of the features that it reads with these settings.

        Raises:
            UvlpError: its function `features` returns anything else.
        """
        if self.features_of is None:
            return self.features
        found = self.features_of(settings)
        if not some_of(*FEATURES)(found):
            allowed = f"a tuple of some of {', '.join(map(repr, FEATURES))}"
            raise UvlpError(f"{self.origin.file}: features must return {allowed}", got=found)
        return tuple(found)


def order_of(settings: Any) -> str:
    """How images are visited: as the ``"file"`` names are listed, or as ``"published"`` (methods.md A.1).

    It is what a setting `order` says; a method without one takes the first.
    """
    return str(getattr(settings, "order", "file"))


OF_PROTOTYPES = ("synthesis", "captions", "finetuned", "long_prompts")


@cache
def declared_method(name: str) -> MethodDeclaration:
    """The declaration of a method.

    Raises:
        UvlpError: there is none of that name, or a field is missing, wrong or misspelt.
    """
    found = of_module(MethodDeclaration, plugins.find("methods", name))
    check_section(found.origin)
    _check_kind(found)
    _check_variants(found)
    if found.prototypes is not None and found.synthesis is None:
        return replace(found, synthesis=SynthesisSettings())
    return found


def _check_kind(found: MethodDeclaration) -> None:
    """Refuse a method of no kind or of two, and what says nothing of its kind."""
    file = found.origin.file
    if (found.select is None) == (found.prototypes is None):
        got = "neither" if found.select is None else "both"
        raise UvlpError(f"{file}: the functions select and prototypes", got=got, allowed="one of them")
    kind, others = ("select", OF_PROTOTYPES) if found.prototypes is None else ("prototypes", ("whole_set",))
    for name in others:
        if value := getattr(found, name):
            raise UvlpError(
                f"{file}: {name.upper()} beside the function {kind}", got=value, fix="leave it out"
            )


def _check_variants(found: MethodDeclaration) -> None:
    for name, changes in found.variants.items():
        try:
            overrides.merge(found.settings(), changes)
        except (UvlpError, AttributeError) as error:
            what = f"{found.origin.file}: VARIANTS[{name!r}]"
            allowed = "a dictionary of fields of Settings"
            raise UvlpError(what, got=getattr(error, "got", changes), allowed=allowed) from error
