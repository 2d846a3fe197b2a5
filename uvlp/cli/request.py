"""The command line as a request: its options, checked, and the recipe that they make of a dataset's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from uvlp.artifacts.store import Store
from uvlp.cli.options import number
from uvlp.core import plugins
from uvlp.core.errors import UvlpError
from uvlp.core.files.places import check_folder, expanded, store_folder
from uvlp.core.files.unicode_form import nfc
from uvlp.models.published import find
from uvlp.pipeline.names import default_recipe
from uvlp.pipeline.planning.contenders import set_method, set_protocol
from uvlp.recipes import overrides, profiles
from uvlp.recipes.schema import Recipe

LARGEST_SEED = 2**32 - 1
"""Of scikit-learn's and numpy's older generators."""
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
"""Fields of a recipe that have an option or argument of their own."""
REMARKS = ("models_note", "protocol_notes")
"""Fields that say what the numbers of a recipe mean; nobody sets them away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options that decide about the recipe; ``ipc`` is None where it comes from elsewhere."""

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
    """The store: the option, else ``$UVLP_STORE``, else ``./uvlp_store``.

    Raises:
        UvlpError: the option is empty, names the home of nobody, or a path where no folder can be.
    """
    return Store(check_folder("store", store_folder(folder), "--store DIR"))


def resolve(request: Request) -> Recipe:
    """The recipe of the dataset with everything that the request changes; `pipeline/names.check` checks it.

    Raises:
        UvlpError: an unknown dataset, profile or setting, a value of another type, or an empty option.
    """
    for option in ("profile", "protocol", "variant"):
        if getattr(request, option) == "":  # of a variable that was not set
            raise UvlpError(f"no --{option} given", got="", fix="leave the option out, or name one")
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
            raise UvlpError(f"no {name} given", fix="leave the option out, or name at least one")
    return recipe


def _finetuned(folder: str) -> str:
    """The absolute path of a folder: a relative one would look like the name of a hub repository."""
    path = expanded(folder).absolute()
    if folder and path.is_file():
        find.check_finetuned(path)
    if not folder or not path.is_dir():
        fix = "name the folder of a fine-tuned pipeline, as save_pretrained writes it"
        raise UvlpError("--finetuned-model: no such folder", got=folder, fix=fix)
    return str(path)


def _replacements(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if request.methods:
        found["methods"] = tuple(split(request.methods))
    if request.networks:
        found["networks"] = tuple(split(request.networks))
    if request.seeds:
        found["seeds"] = tuple(number("seed", text, 0, LARGEST_SEED) for text in split(request.seeds))
    if request.portable:
        found["portable"] = True
    for name in ("repeats", "protocol", "data", "variant"):
        if getattr(request, name) is not None:
            found[name] = getattr(request, name)
    return found


def _set_alpha(recipe: Recipe, alpha: float) -> Recipe:
    """What `--alpha` means to the published package: no global search, class and cluster α start from it."""
    if not 0 <= alpha <= 1:
        raise UvlpError("--alpha", got=alpha, allowed="0 (text alone) to 1 (image alone)")
    own = {**recipe.method.get("uvlp", {}), "search": "package", "alpha": alpha}
    return replace(recipe, method={**recipe.method, "uvlp": own})


def split(values: Sequence[str]) -> list[str]:
    """The values of an option that may be repeated and may hold commas, each once."""
    parts = (part.strip() for value in values for part in value.split(","))
    return list(dict.fromkeys(filter(None, parts)))


def _set(recipe: Recipe, text: str) -> Recipe:
    path, equals, value = text.partition("=")
    if not equals:
        raise UvlpError("--set needs key=value", got=text, fix="for example --set evaluate.epochs=100")
    if path.partition(".")[0] in REMARKS:
        raise UvlpError(
            f"--set {path}: a recipe's own remark stays",
            got=text,
            fix="add one of yours with --set note=TEXT",
        )
    if path == "note":
        return replace(recipe, note="; ".join(filter(None, [recipe.note, _own_note(value)])))
    if path in OPTIONS:
        # That option checks its value, and joins it with the others.
        raise UvlpError(f"--set {path} is not supported", got=text, fix=f"use {OPTIONS[path]}")
    section, _, rest = path.partition(".")
    plugin = section.replace("_", "-")
    if rest and plugin in plugins.names("methods"):
        return set_method(recipe, plugin, rest, value)
    if rest and not hasattr(recipe, section) and plugin in plugins.names("protocols"):
        return set_protocol(recipe, plugin, rest, value)
    changed: Recipe = overrides.apply(recipe, path, value)
    return changed


def _own_note(text: str) -> str:
    """A remark of the user's, which stands beside those of the recipe."""
    if not text.strip() or not text.isprintable():
        raise UvlpError(
            "--set note= adds a remark, and takes none away", got=text, allowed="a line of plain text"
        )
    return nfc(text.strip())
