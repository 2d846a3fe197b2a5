"""A request applied to the default recipe of its dataset."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.core import plugins
from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.files.paths import check_folder, expand_home, store_folder
from uvlp.core.files.unicode_form import nfc
from uvlp.models.published import find
from uvlp.pipeline.names import default_recipe
from uvlp.pipeline.planning.contenders import prefix, set_method, set_protocol
from uvlp.pipeline.published import groups
from uvlp.recipes import overrides, profiles
from uvlp.recipes.requests.request import OPTIONS, Request
from uvlp.recipes.schema import Recipe

REMARKS = ("models_note", "protocol_notes")
"""Fields that explain what the numbers of a recipe mean; they cannot be overwritten."""


def store_at(folder: str | None) -> Store:
    """Return the store: the option, else ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: the option is empty, names the home of an unknown user, or cannot be a folder.
    """
    return Store(check_folder("store", store_folder(folder), "--store DIR"))


def usual_recipe(request: Request) -> Recipe:
    """Return the recipe of the request's dataset, IPC and profile, without any of its other changes.

    Raises:
        UvlpError: an unknown dataset or profile.
    """
    recipe = default_recipe(request.dataset, request.ipc or 1)
    recipe = profiles.apply(recipe, request.profile or recipe.profile)
    return replace(recipe, dataset=request.dataset)


def resolve(request: Request) -> Recipe:
    """Return the recipe of the dataset with the changes of the request; `pipeline/names.check` checks it.

    Raises:
        UvlpError: an unknown dataset, profile or setting, or a value of the wrong type.
    """
    recipe = replace(usual_recipe(request), **_replacements(request))
    if request.missing_captions is not None:
        recipe = replace(recipe, caption=replace(recipe.caption, missing=request.missing_captions))
    if request.finetuned_model is not None:
        folder = _finetuned(request.finetuned_model)
        recipe = replace(recipe, models=replace(recipe.models, finetuned=folder))
    if request.alpha is not None:
        recipe = _set_alpha(recipe, request.alpha)
    for path, value in request.changes:
        recipe = _set(recipe, path, value)
    return recipe


def _finetuned(folder: str) -> str:
    """Return the absolute path of a folder: a relative one would look like the name of a hub repository."""
    path = expand_home(folder).absolute()
    if path.is_file():
        find.check_finetuned(path)
    if not path.is_dir():
        fix = "give the folder of a fine-tuned pipeline as written by save_pretrained"
        raise UvlpError("--finetuned-model: no such folder", got=folder, fix=fix)
    return str(path)


def _replacements(request: Request) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if request.methods is not None:
        changes["methods"] = tuple(groups.expand(list(request.methods), request.dataset))
    for name in ("networks", "seeds", "repeats", "protocol", "data", "variant"):
        if getattr(request, name) is not None:
            changes[name] = getattr(request, name)
    if request.portable:
        changes["portable"] = True
    return changes


def _set_alpha(recipe: Recipe, alpha: float) -> Recipe:
    """Apply `--alpha` as the published package does: no global search, class and cluster α start from it."""
    if not 0 <= alpha <= 1:
        raise UvlpError("--alpha is out of range", got=alpha, allowed="0 (text only) to 1 (image only)")
    own = {**recipe.method.get("uvlp", {}), "search": "package", "alpha": alpha}
    return replace(recipe, method={**recipe.method, "uvlp": own})


def _set(recipe: Recipe, path: str, value: Any) -> Recipe:
    """Return the recipe with one setting changed; a text is converted to the type of the setting."""
    if path.partition(".")[0] in REMARKS:
        raise UvlpError(
            f"--set {path}: the notes of a recipe cannot be changed",
            got=f"{path}={value}",
            fix="add your own note with --set note=TEXT",
        )
    if path == "note":
        return replace(recipe, note="; ".join(filter(None, [recipe.note, _own_note(value)])))
    if path in OPTIONS:
        # The option also checks its value and its combination with others.
        raise UvlpError(f"--set {path} is not supported", got=f"{path}={value}", fix=f"use {OPTIONS[path]}")
    section, _, rest = path.partition(".")
    if section == "method" and "." in rest:
        name, _, rest = rest.partition(".")
        return set_method(recipe, name.replace("_", "-"), rest, value)
    plugin = section.replace("_", "-")
    if rest and plugin in plugins.names("methods") and not prefix(plugin):
        return set_method(recipe, plugin, rest, value)
    if rest and not hasattr(recipe, section):
        if plugin in plugins.names("protocols"):
            return set_protocol(recipe, plugin, rest, value)
        sections = [each.name for each in fields(recipe) if each.name not in REMARKS]
        raise unknown_name("setting", section, [*sections, *plugins.names("methods")])
    changed: Recipe = overrides.apply(recipe, path, value)
    return changed


def _own_note(text: Any) -> str:
    """Return a note of the user, which is added to those of the recipe."""
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise UvlpError("--set note= cannot be empty", got=text, allowed="a line of plain text")
    return nfc(text.strip())
