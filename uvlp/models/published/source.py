"""Which repository or folder the settings name for a part of the published models, and what of it is here."""

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
    """What the settings say about one part.

    Attributes:
        part: as asked for.
        layout: its files.
        setting: name of the setting, e.g. ``models.clip``.
        repository: on the hub; empty for a folder.
        revision: as set; may be empty.
        folder: the folder that was named; None for a repository.
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
        """How to read a folder instead."""
        form = "local-dir:FOLDER" if self.part == "clip" else "FOLDER"
        return f"put a copy into a folder: --set {self.setting}={form}"

    def commit(self) -> str:
        """The commit to read, as far as it is known here.

        Where none is asked for: the one of which all files are here, else the recorded or the branch's.

        Raises:
            UvlpError: all files of several commits are here, and nothing says which is meant.
        """
        setting = f"{self.setting}_revision"
        if self.revision:
            return hub.commit_of(self.repository, self.revision, setting)
        whole, recorded = self._whole(), hub.recorded(self.repository)
        if len(whole) == 1 and recorded in ("", whole[0]):
            return whole[0]
        known = hub.commit_of(self.repository, "", setting)
        if len(whole) > 1 and not recorded and known not in whole:
            fix = f"say which: --set {setting}={whole[0]}"
            raise UvlpError(f"{self.repository} is here in several revisions", got=first_few(whole), fix=fix)
        return known

    def _whole(self) -> list[str]:
        """The commits of which all files are here."""
        places = {commit: hub.snapshot(self.repository, commit) for commit in hub.commits(self.repository)}
        return [commit for commit, place in places.items() if not contents(self.layout, place).missing]

    def contents(self) -> tuple[Path, Contents]:
        """Its folder, which may not exist, and what of it is there."""
        folder = self.folder or hub.snapshot(self.repository, self.commit() or "none")
        return folder, contents(self.layout, folder)


def source_of(models: ModelSettings, part: str) -> Source:
    """What the settings name for ``part``, one of `find.PARTS`.

    Raises:
        UvlpError: they name no repository and no folder, or no folder that is there.
    """
    name = "diffusion" if part == "autoencoder" else part
    setting, value = f"models.{name}", getattr(models, name)
    layout, repository, folder = LAYOUTS[part], "", ""
    if part == "clip":
        layout, repository, folder = _clip(value)
    elif os.path.lexists(os.path.expanduser(value)) or value.startswith((".", "/", "~")):
        folder = value
    else:
        repository = value
    if folder and getattr(models, f"{name}_revision"):
        got = f"{value} at {getattr(models, f'{name}_revision')}"
        raise UvlpError(f"{setting}_revision says nothing of a folder", got=got, fix="leave it out")
    if not folder and not hub.REPOSITORY.fullmatch(repository):
        allowed = "OWNER/NAME of a repository, or a folder on this machine"
        raise UvlpError(f"{setting} is neither repository nor folder", got=repository, allowed=allowed)
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
    """The command that fetches ``part`` as the settings name it."""
    name = "diffusion" if part == "autoencoder" else part
    revision, repository = f"{name}_revision", getattr(models, name)
    usual: Any = ModelSettings(**{name: repository})
    changed = [name] * (repository != getattr(ModelSettings(), name))
    changed += [revision] * (getattr(models, revision) != getattr(usual, revision))
    return f"uvlp fetch {part}" + "".join(f" --set models.{f}={getattr(models, f)}" for f in changed)


def _clip(value: str) -> tuple[Layout, str, str]:
    """Layout, repository or folder of a CLIP in one of open_clip's forms."""
    form, _, rest = value.partition(":")
    if value == "openai":
        return LAYOUTS["openai"], OPENAI, ""
    if form == "hf-hub" and rest:
        return LAYOUTS["clip"], rest, ""
    if form == "local-dir" and rest:
        return LAYOUTS["clip"], "", rest
    raise _unknown_form(value)


def _unknown_form(value: str) -> UvlpError:
    """A folder or a file without ``local-dir:`` in front is told by what it is."""
    place = Path(os.path.realpath(os.path.expanduser(value)))
    error, fix = None, None
    if value and place.is_dir():
        error = kinds.recognise("clip", place, contents(LAYOUTS["clip"], place).missing)
        fix = f"did you mean local-dir:{value}?"
    elif value and place.is_file():
        error = kinds.recognise("clip", place, ())
    return error or UvlpError("unknown form of models.clip", got=value, allowed=CLIP_FORMS, fix=fix)


def _folder(setting: str, value: str) -> Path:
    folder = expand_home(value)
    if folder.is_file():
        kind = setting.partition(".")[2]
        error = kinds.recognise(kind, Path(os.path.realpath(folder)), ())
        assert error is not None, "a file is never a folder"
        raise error
    if not folder.is_dir():
        fix = "name the folder that holds the model's files"
        raise UvlpError(f"{setting}: no such folder", got=value, fix=fix)
    return Path(os.path.realpath(folder))
