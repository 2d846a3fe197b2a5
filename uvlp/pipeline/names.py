"""Check names and numbers of a recipe, before its dataset is opened or downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from uvlp.artifacts.dataset import DatasetSpec
from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.declarations.dataset import declared_dataset
from uvlp.declarations.protocol import declared_protocol
from uvlp.pipeline.planning.ablations import Ablated, ablations
from uvlp.pipeline.planning.contenders import Method
from uvlp.pipeline.planning.equal_variants import distinct
from uvlp.recipes import limits
from uvlp.recipes.schema import Recipe
from uvlp.recipes.setting import check_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A recipe that was checked as far as possible without its dataset.

    Attributes:
        recipe: the recipe, with canonical names of methods and networks.
        spec: how its dataset is opened.
        methods: the recipe's methods with their settings, each once.
        ablated: the method that the others are ablations of; None if they are not.
        notes: variants that are not run, one sentence each.
    """

    recipe: Recipe
    spec: DatasetSpec
    methods: tuple[Method, ...]
    ablated: Ablated | None = None
    notes: tuple[str, ...] = ()


def default_recipe(dataset: str, ipc: int) -> Recipe:
    """Return the recipe that a dataset's plug-in declares, at ``ipc`` images per class.

    Raises:
        UvlpError: there is no such dataset.
    """
    return declared_dataset(dataset.partition(":")[0]).recipe(ipc)


def networks() -> dict[str, str]:
    """Return the networks that protocols accept besides the families of `uvlp/networks`, by protocol."""
    protocol_of: dict[str, str] = {}
    for protocol in plugins.names("protocols"):
        for name in declared_protocol(protocol).networks():
            protocol_of.setdefault(name, protocol)
    return protocol_of


def check(recipe: Recipe, ablated: Ablated | None = None) -> Checked:
    """Check every name and every number of a recipe.

    Args:
        recipe: of the dataset and the request.
        ablated: the method to ablate in place of the recipe's methods.

    Raises:
        UvlpError: an unknown name (suggests the nearest), or a number out of range.
    """
    dataset = recipe.dataset.partition(":")[0]
    declared_dataset(dataset)
    protocol = declared_protocol(recipe.protocol)
    captioners = [*plugins.names("captioners"), "auto", "file"]
    if recipe.caption.captioner not in captioners:
        raise unknown_name("captioner", recipe.caption.captioner, captioners)
    check_data_options(dataset, recipe.data, recipe.variant)
    limits.check(recipe)
    check_limits(protocol.settings_in(recipe), protocol.section)
    methods, notes = distinct(recipe) if ablated is None else ablations(recipe, ablated)
    if recipe.models.finetuned:
        _check_finetuned(recipe, methods)
    canonical = dict.fromkeys(protocol.canonical(network) for network in recipe.networks)
    specs = tuple(method.spec for method in methods)
    recipe = replace(recipe, protocol=protocol.origin.name, networks=tuple(canonical), methods=specs)
    spec = DatasetSpec.parse(recipe.dataset, recipe.data, recipe.variant)
    return Checked(recipe=recipe, spec=spec, methods=methods, ablated=ablated, notes=notes)


def _check_finetuned(recipe: Recipe, methods: Sequence[Method]) -> None:
    """Refuse a fine-tuned model that no method of the recipe uses."""
    if not recipe.pretrained:
        what = f"--finetuned-model: profile {recipe.profile} trains its own models"
        raise UvlpError(what, got=recipe.models.finetuned, fix="omit it, or use --profile sd15")
    if not any(method.synthesis is not None and method.declared.finetuned for method in methods):
        names = ", ".join(method.spec for method in methods)
        fix = "omit it, or add uvlp or vlcp"
        raise UvlpError("--finetuned-model: no method of this run uses it", got=names, fix=fix)


def check_networks(recipe: Recipe) -> None:
    """Refuse networks that cannot be trained with the protocol's image size and settings.

    Raises:
        UvlpError: names the network.
    """
    protocol = declared_protocol(recipe.protocol)
    for network in recipe.networks:
        protocol.check(network, protocol.settings_in(recipe))


def check_data_options(name: str, data: str, variant: str) -> None:
    """Refuse `--data` or `--variant` for a dataset that does not support it.

    Raises:
        UvlpError: the dataset ``name`` does not support the option, or has no such variant.
    """
    variants = declared_dataset(name).variants
    if variants is None:
        if data or variant:
            option = "--data" if data else "--variant"
            raise UvlpError(f"the dataset {name} does not support {option}", got=data or variant)
    elif variant and variant not in variants:
        allowed = ", ".join(variants) or f"{name} has one version only"
        raise UvlpError("unknown variant of a dataset", got=variant, allowed=allowed)
