"""The declaration of a protocol, a file in `uvlp/protocols`: how a network is trained and scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any

from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.plugins import Origin
from uvlp.declarations import network as network_names
from uvlp.declarations.reading import constant, flag, function, of_module, positive_integer, text
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
    """Default: accept any number of images of any size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolDeclaration:
    """An evaluation protocol.

    Attributes:
        origin: package and file of the plug-in.
        revision: to be raised when results change.
        pixels_revision: to be raised when ``validation_pixels`` changes; 0: the same as ``revision``.
        settings: class of its settings; ``size_px`` is the side of a network's input.
        section: section of its settings in ``--set``; empty: its name.
        profiles: changed settings by profile: ``{"nano": {"epochs": 1}}``.
        teacher: whether students learn a teacher's labels. Its networks are then those of
            `training/rded_networks.py`, and its settings include ``flip``, used to train the teacher.
        evaluate: ``evaluate(train, validation, *, network, classes, ipc, settings, seed, progress, full,
            device, teacher)``: trains one network once and returns its `Score` (see `protocols/minimax.py`).
        validation_pixels: ``validation_pixels(pixels, size_px)``: uint8 [H,W,3] to [size_px,size_px,3].
        networks: ``networks()``: the values of ``--network``.
        canonical: ``canonical(network)``: the name of a network in tables.
        family: ``family(network)``: the file in `uvlp/networks` that builds it, None if there is none.
        check: ``check(network, settings)`` raises `UvlpError` for impossible combinations.
        check_images: ``check_images(settings, network, *, teacher, classes, images, side_px)``: the same for
            images, before they are made; ``side_px`` is 0 if unknown.
        workload: ``workload(settings, network, *, ipc, classes, images, full)``: the `Workload` of one
            training, for time estimates.
    """

    origin: Origin
    revision: int = constant("an integer of at least 1", positive_integer)
    pixels_revision: int = constant("an integer of at least 1", positive_integer, 0)
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
        """Its settings in a recipe: those of its section, else its defaults with the recipe's changes.

        Raises:
            UvlpError: an unknown setting.
        """
        if is_dataclass(own := getattr(recipe, self.section, None)):
            return own
        changes = {**self.profiles.get(recipe.profile, {}), **recipe.protocols.get(self.section, {})}
        return overrides.merge(self.settings(), changes)


@cache
def declared_protocol(name: str) -> ProtocolDeclaration:
    """The declaration of a protocol.

    Raises:
        UvlpError: an unknown name, or a field that is missing, invalid or misspelt.
    """
    declaration = of_module(ProtocolDeclaration, plugins.find("protocols", name))
    if declaration.teacher and "flip" not in {each.name for each in fields(declaration.settings)}:
        what = f"{declaration.origin.file}: Settings have no field flip"
        raise UvlpError(what, fix="add it: the teacher is trained with it")
    declaration = replace(declaration, pixels_revision=declaration.pixels_revision or declaration.revision)
    if not declaration.section:
        check_section(declaration.origin)
        declaration = replace(declaration, section=declaration.origin.name)
    elif type(getattr(Recipe(), declaration.section, None)) is not declaration.settings:
        raise UvlpError(
            f"{declaration.origin.file}: SECTION",
            got=declaration.section,
            allowed="the section of a recipe whose type is Settings",
        )
    return declaration
