"""Options of the command line, checked, and applied to the default recipe of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.cli.options import number
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import check_folder, expand_home, store_folder
from uvlp.core.files.unicode_form import nfc
from uvlp.models.published import find
from uvlp.pipeline.names import default_recipe
from uvlp.pipeline.planning.contenders import prefix, set_method, set_protocol
from uvlp.pipeline.published import groups
from uvlp.recipes import overrides, profiles
from uvlp.recipes.schema import Recipe

LARGEST_SEED = 2**32 - 1
"""Limit of scikit-learn's and numpy's older generators."""
OPTIONS = {
    "dataset": "DATASET or --dataset",
    "ipc": "IPC or --ipc",
    "profile": "--profile",
    "methods": "--method",
    "networks": "--network",
    "seeds": "--seed",
    "repeats": "--repeats",
    "protocol": "--protocol",
    "data": "--data",
    "variant": "--variant",
    "pretrained": "--profile",
    "models.finetuned": "--finetuned-model",
    "portable": "--portable",
}
"""Recipe fields with a dedicated option or argument."""
REMARKS = ("models_note", "protocol_notes")
"""Fields that explain what the numbers of a recipe mean; they cannot be overwritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options that determine the recipe; ``ipc`` is None if it is not given."""

    dataset: str
    ipc: int | None = None
    methods: list[str] | None = None
    seeds: list[str] | None = None
    networks: list[str] | None = None
    repeats: int | None = None
    profile: str | None = None
    protocol: str | None = None
    data: str | None = None
    variant: str | None = None
    finetuned_model: str | None = None
    alpha: float | None = None
    missing_captions: str | None = None
    settings: list[str] | None = None
    portable: bool = False


def store_at(folder: str | None) -> Store:
    """Return the store: the option, else ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: the option is empty, names the home of an unknown user, or cannot be a folder.
    """
    return Store(check_folder("store", store_folder(folder), "--store DIR"))


def resolve(request: Request) -> Recipe:
    """Return the recipe of the dataset with the changes of the request; `pipeline/names.check` checks it.

    Raises:
        UvlpError: an unknown dataset, profile or setting, a value of the wrong type, or an empty option.
    """
    for option in ("profile", "protocol", "variant"):
        if getattr(request, option) == "":  # e.g. from an unset shell variable
            raise UvlpError(f"--{option} is empty", got="", fix="give a name, or omit the option")
    recipe = default_recipe(request.dataset, request.ipc or 1)
    recipe = profiles.apply(recipe, request.profile or recipe.profile)
    recipe = replace(recipe, dataset=request.dataset, **_replacements(request))
    if request.missing_captions is not None:
        recipe = replace(recipe, caption=replace(recipe.caption, missing=request.missing_captions))
    if request.finetuned_model is not None:
        folder = _finetuned(request.finetuned_model)
        recipe = replace(recipe, models=replace(recipe.models, finetuned=folder))
    if request.alpha is not None:
        recipe = _set_alpha(recipe, request.alpha)
    for text in request.settings or []:
        recipe = _set(recipe, text)
    for name in ("methods", "networks", "seeds"):
        if not getattr(recipe, name):
            raise UvlpError(f"no {name} given", fix="give at least one, or omit the option")
    return recipe


def _finetuned(folder: str) -> str:
    """Return the absolute path of a folder: a relative one would look like the name of a hub repository."""
    path = expand_home(folder).absolute()
    if folder and path.is_file():
        find.check_finetuned(path)
    if not folder or not path.is_dir():
        fix = "give the folder of a fine-tuned pipeline as written by save_pretrained"
        raise UvlpError("--finetuned-model: no such folder", got=folder, fix=fix)
    return str(path)


def _replacements(request: Request) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if request.methods:
        changes["methods"] = tuple(groups.expand(split(request.methods), request.dataset))
    if request.networks:
        changes["networks"] = tuple(split(request.networks))
    if request.seeds:
        changes["seeds"] = tuple(number("seed", text, 0, LARGEST_SEED) for text in split(request.seeds))
    if request.portable:
        changes["portable"] = True
    for name in ("repeats", "protocol", "data", "variant"):
        if getattr(request, name) is not None:
            changes[name] = getattr(request, name)
    return changes


def _set_alpha(recipe: Recipe, alpha: float) -> Recipe:
    """Apply `--alpha` as the published package does: no global search, class and cluster α start from it."""
    if not 0 <= alpha <= 1:
        raise UvlpError("--alpha is out of range", got=alpha, allowed="0 (text only) to 1 (image only)")
    own = {**recipe.method.get("uvlp", {}), "search": "package", "alpha": alpha}
    return replace(recipe, method={**recipe.method, "uvlp": own})


def split(values: Sequence[str]) -> list[str]:
    """Return the distinct values of an option that may be repeated and may contain commas."""
    parts = (part.strip() for value in values for part in value.split(","))
    return list(dict.fromkeys(filter(None, parts)))


def _set(recipe: Recipe, text: str) -> Recipe:
    path, equals, value = text.partition("=")
    if not equals:
        raise UvlpError("--set needs key=value", got=text, fix="for example --set evaluate.epochs=100")
    if path.partition(".")[0] in REMARKS:
        raise UvlpError(
            f"--set {path}: the notes of a recipe cannot be changed",
            got=text,
            fix="add your own note with --set note=TEXT",
        )
    if path == "note":
        return replace(recipe, note="; ".join(filter(None, [recipe.note, _own_note(value)])))
    if path in OPTIONS:
        # The option also checks its value and its combination with others.
        raise UvlpError(f"--set {path} is not supported", got=text, fix=f"use {OPTIONS[path]}")
    section, _, rest = path.partition(".")
    if section == "method" and "." in rest:
        name, _, rest = rest.partition(".")
        return set_method(recipe, name.replace("_", "-"), rest, value)
    plugin = section.replace("_", "-")
    if rest and plugin in plugins.names("methods") and not prefix(plugin):
        return set_method(recipe, plugin, rest, value)
    if rest and not hasattr(recipe, section) and plugin in plugins.names("protocols"):
        return set_protocol(recipe, plugin, rest, value)
    changed: Recipe = overrides.apply(recipe, path, value)
    return changed


def _own_note(text: str) -> str:
    """Return a note of the user, which is added to those of the recipe."""
    if not text.strip() or not text.isprintable():
        raise UvlpError("--set note= cannot be empty", got=text, allowed="a line of plain text")
    return nfc(text.strip())
