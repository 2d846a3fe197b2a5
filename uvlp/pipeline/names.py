"""Every name in a recipe is known: checked before its dataset is opened or fetched."""

from __future__ import annotations

from dataclasses import replace

from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.protocol import declared_protocol
from uvlp.recipes.schema import Recipe


def check_names(recipe: Recipe) -> Recipe:
    """Every name in the recipe exists; the recipe with its networks' names as they stand in tables.

    Raises:
        UvlpError: unknown dataset, captioner, network or protocol, with the nearest name.
    """
    dataset = recipe.dataset.partition(":")[0]
    declared_dataset(dataset)
    protocol = declared_protocol(recipe.protocol)
    captioners = [*plugins.names("captioners"), "auto", "file"]
    if recipe.caption.captioner not in captioners:
        raise unknown_name("captioner", recipe.caption.captioner, captioners)
    check_place(dataset, recipe.data, recipe.variant)
    networks = dict.fromkeys(protocol.canonical(network) for network in recipe.networks)
    return replace(recipe, protocol=protocol.origin.name, networks=tuple(networks))


def check_place(name: str, data: str, variant: str) -> None:
    """Refuse `--data` or `--variant` for a dataset that has no use for it.

    Raises:
        UvlpError: the dataset ``name`` takes no such word, or has no such variant.
    """
    variants = declared_dataset(name).variants
    if variants is None:
        if data or variant:
            word = "--data" if data else "--variant"
            raise UvlpError(f"the dataset {name} takes no {word}", got=data or variant)
    elif variant and variant not in variants:
        allowed = ", ".join(variants) or f"{name} has one version only"
        raise UvlpError("unknown variant of a dataset", got=variant, allowed=allowed)
