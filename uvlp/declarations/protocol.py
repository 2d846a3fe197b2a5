"""What a file of `uvlp/protocols` declares: how a network is trained on images and scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations import network as network_names
from uvlp.declarations.reading import constant, flag, function, of_module, text, whole
from uvlp.declarations.settings import check_section, settings
from uvlp.recipes import overrides
from uvlp.recipes.schema import Recipe
from uvlp.recipes.workload import Workload

EVALUATE = "train, validation, *, network, classes, ipc, settings, seed, progress, full, device, teacher"
CHECK_IMAGES = "settings, network, *, teacher, classes, images, side_px"
WORKLOAD = "settings, network, *, ipc, classes, images, full"


def _check(network: str, settings: Any) -> None:
    network_names.check_network(network, settings.size_px)


def _check_images(settings: Any, network: str, **_: Any) -> None:
    """Nothing is known against any number of images of any size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolDeclaration:
    """A protocol of evaluation.

    Attributes:
        origin: where it comes from.
        revision: raised when results change.
        pixels_revision: raised when ``validation_pixels`` changes; 0: with ``revision``.
        settings: class of its settings; ``size_px`` among them is the side of a network's input.
        section: what its settings stand under for ``--set``; empty: its name.
        profiles: by profile, settings that it changes: ``{"nano": {"epochs": 1}}``.
        teacher: students learn a teacher's labels. Its networks are then those of
            `training/rded_networks.py`, and ``flip`` is among its settings: the teacher is trained with it.
        evaluate: ``evaluate(train, validation, *, network, classes, ipc, settings, seed, progress, full,
            device, teacher)``: trains one network once and returns its `Score` (see `protocols/minimax.py`).
        validation_pixels: ``validation_pixels(pixels, size_px)``: uint8 [H,W,3] to [size_px,size_px,3].
        networks: ``networks()``: what ``--network`` may say.
        canonical: ``canonical(network)``: the name of a network as it stands in tables.
        family: ``family(network)``: the file in `uvlp/networks` that builds it, None for none of them.
        check: ``check(network, settings)`` raises `UvlpError` for what no training can use.
        check_images: ``check_images(settings, network, *, teacher, classes, images, side_px)``: the same for
            images, before they are made; ``side_px`` 0: not known.
        workload: ``workload(settings, network, *, ipc, classes, images, full)``: the `Workload` of one
            training, for estimates of time.
    """

    origin: Origin
    revision: int = constant("a whole number of 1 or more", whole)
    pixels_revision: int = constant("a whole number of 1 or more", whole, 0)
    settings: type[Any] = settings(needs=("size_px",), optional=False)
    section: str = constant("a text", text, "")
    profiles: Mapping[str, Mapping[str, Any]] = constant(
        "a dictionary of dictionaries of settings", lambda value: isinstance(value, Mapping), {}
    )
    teacher: bool = constant("True or False", flag, False)
    evaluate: Callable[..., Any] = function("evaluate", EVALUATE)
    validation_pixels: Callable[..., Any] = function("validation_pixels", "pixels, size_px")
    networks: Callable[[], tuple[str, ...]] = function("networks", "", network_names.networks)
    canonical: Callable[[str], str] = function("canonical", "network", network_names.canonical)
    family: Callable[[str], str | None] = function("family", "network", network_names.family)
    check: Callable[[str, Any], None] = function("check", "network, settings", _check)
    check_images: Callable[..., None] = function("check_images", CHECK_IMAGES, _check_images)
    workload: Callable[..., Workload] | None = function("workload", WORKLOAD, None)

    def settings_in(self, recipe: Recipe) -> Any:
        """Its settings in a recipe: of a section of its own, else those that differ from its defaults.

        Raises:
            UvlpError: no such setting.
        """
        if is_dataclass(own := getattr(recipe, self.section, None)):
            return own
        changes = {**self.profiles.get(recipe.profile, {}), **recipe.protocols.get(self.section, {})}
        return overrides.merge(self.settings(), changes)


@cache
def declared_protocol(name: str) -> ProtocolDeclaration:
    """The declaration of a protocol.

    Raises:
        UvlpError: there is none of that name, or a field is missing, wrong or misspelt.
    """
    found = of_module(ProtocolDeclaration, plugins.find("protocols", name))
    if found.teacher and "flip" not in {each.name for each in fields(found.settings)}:
        raise UvlpError(
            f"{found.origin.file}: Settings have no field flip", fix="a teacher is trained with it"
        )
    found = replace(found, pixels_revision=found.pixels_revision or found.revision)
    if not found.section:
        check_section(found.origin)
        found = replace(found, section=found.origin.name)
    elif type(getattr(Recipe(), found.section, None)) is not found.settings:
        what = f"{found.origin.file}: SECTION"
        raise UvlpError(what, got=found.section, allowed="the section of a recipe that holds its Settings")
    return found
