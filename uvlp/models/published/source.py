"""The repository or folder that the settings give for a part of the published models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvlp.core.errors import UvlpError
from uvlp.core.files.paths import expand_home
from uvlp.core.wording import first_few
from uvlp.models.published import hub, kinds
from uvlp.models.published.layout import LAYOUTS, Contents, Layout, contents
from uvlp.models.published.sizes import OPENAI
from uvlp.recipes.schema import ModelSettings

CLIP_FORMS = "hf-hub:REPOSITORY, local-dir:FOLDER, openai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The source of one part, from the settings.

    Attributes:
        part: the requested part.
        layout: its files.
        setting: name of the setting, e.g. ``models.clip``.
        repository: on the hub; empty for a folder.
        revision: as set; may be empty.
        folder: the given folder; None for a repository.
        command: the command that fetches it.
    """

    part: str
    layout: Layout
    setting: str
    repository: str = ""
    revision: str = ""
    folder: Path | None = None
    command: str

    @property
    def layout_name(self) -> str:
        """Key of its layout."""
        return "openai" if self.layout is LAYOUTS["openai"] else self.part

    @property
    def copy(self) -> str:
        """Suggestion to use a folder instead."""
        form = "local-dir:FOLDER" if self.part == "clip" else "FOLDER"
        return f"use a copy in a folder: --set {self.setting}={form}"

    def commit(self) -> str:
        """Return the commit to read, if known without the network, else an empty string.

        Without a set revision: the only complete commit, else the recorded one or the branch's.

        Raises:
            UvlpError: several commits are complete, and none is recorded.
        """
        setting = f"{self.setting}_revision"
        if self.revision:
            return hub.commit_of(self.repository, self.revision, setting)
        complete, recorded = self._complete(), hub.recorded(self.repository)
        if len(complete) == 1 and recorded in ("", complete[0]):
            return complete[0]
        known = hub.commit_of(self.repository, "", setting)
        if len(complete) > 1 and not recorded and known not in complete:
            what = f"several revisions of {self.repository} are on this machine"
            raise UvlpError(what, got=first_few(complete), fix=f"choose one: --set {setting}={complete[0]}")
        return known

    def _complete(self) -> list[str]:
        """Return the commits with all files on this machine."""
        folders = {commit: hub.snapshot(self.repository, commit) for commit in hub.commits(self.repository)}
        return [commit for commit, folder in folders.items() if not contents(self.layout, folder).missing]

    def contents(self) -> tuple[Path, Contents]:
        """Return its folder, which may not exist, and the files in it."""
        folder = self.folder or hub.snapshot(self.repository, self.commit() or "none")
        return folder, contents(self.layout, folder)


def source_of(models: ModelSettings, part: str) -> Source:
    """Return the source of ``part``, one of `find.PARTS`, from the settings.

    Raises:
        UvlpError: the setting is neither a repository nor a folder, or the folder does not exist.
    """
    name = "diffusion" if part == "autoencoder" else part
    setting, value = f"models.{name}", getattr(models, name)
    layout, repository, folder = LAYOUTS[part], "", ""
    if not value:
        fix = f"convert the authors' file (docs/stylegan_xl.md), and --set {setting}=FOLDER"
        raise UvlpError(f"{setting} is not set, and {layout.title} has no published safetensors", fix=fix)
    if part == "clip":
        layout, repository, folder = _clip(value)
    elif os.path.lexists(os.path.expanduser(value)) or value.startswith((".", "/", "~")):
        folder = value
    else:
        repository = value
    if folder and getattr(models, f"{name}_revision"):
        got = f"{value} at {getattr(models, f'{name}_revision')}"
        raise UvlpError(f"{setting}_revision does not apply to a folder", got=got, fix="remove it")
    if not folder and not hub.REPOSITORY.fullmatch(repository):
        allowed = "OWNER/NAME of a repository, or a folder on this machine"
        raise UvlpError(f"{setting} is neither a repository nor a folder", got=repository, allowed=allowed)
    return Source(
        part=part,
        layout=layout,
        setting=setting,
        repository=repository,
        revision=getattr(models, f"{name}_revision") if repository else "",
        folder=_folder(setting, folder) if folder else None,
        command=command(models, part),
    )


def command(models: ModelSettings, part: str) -> str:
    """Return the command that fetches ``part`` with these settings."""
    name = "diffusion" if part == "autoencoder" else part
    revision, repository = f"{name}_revision", getattr(models, name)
    usual: Any = ModelSettings(**{name: repository})
    changed = [name] * (repository != getattr(ModelSettings(), name))
    changed += [revision] * (getattr(models, revision) != getattr(usual, revision))
    return f"uvlp fetch {part}" + "".join(f" --set models.{f}={getattr(models, f)}" for f in changed)


def _clip(value: str) -> tuple[Layout, str, str]:
    """Return layout, repository and folder of a CLIP in one of open_clip's notations."""
    form, _, rest = value.partition(":")
    if value == "openai":
        return LAYOUTS["openai"], OPENAI, ""
    if form == "hf-hub" and rest:
        return LAYOUTS["clip"], rest, ""
    if form == "local-dir" and rest:
        return LAYOUTS["clip"], "", rest
    raise _unknown_form(value)


def _unknown_form(value: str) -> UvlpError:
    """Return the error for another notation; a path without ``local-dir:`` is recognised."""
    path = Path(os.path.realpath(os.path.expanduser(value)))
    error, fix = None, None
    if value and path.is_dir():
        error = kinds.recognise("clip", path, contents(LAYOUTS["clip"], path).missing)
        fix = f"did you mean local-dir:{value}?"
    elif value and path.is_file():
        error = kinds.recognise("clip", path, ())
    return error or UvlpError("unknown form of models.clip", got=value, allowed=CLIP_FORMS, fix=fix)


def _folder(setting: str, value: str) -> Path:
    folder = expand_home(value)
    if folder.is_file():
        kind = setting.partition(".")[2]
        error = kinds.recognise(kind, Path(os.path.realpath(folder)), ())
        assert error is not None, "a file is never a folder"
        raise error
    if not folder.is_dir():
        fix = "set it to the folder with the model's files"
        raise UvlpError(f"{setting}: no such folder", got=value, fix=fix)
    return Path(os.path.realpath(folder))
