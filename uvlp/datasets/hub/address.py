"""The address of a dataset of the hub: `OWNER/NAME@REVISION,KEY=VALUE,...` after `hf:`."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

from uvlp.core.errors import UvlpError, unknown_name
from uvlp.core.hashing import digest

FORM = "hf:OWNER/NAME, hf:OWNER/NAME@REVISION, each with ,KEY=VALUE"
REPOSITORY = re.compile(r"(?=.{1,96}$)[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
REVISION = re.compile(r"[\w][\w./-]*", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
NEWEST = "main"
NONE = "none"
"""Value of `caption` for no captions."""
CHOICE_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a dataset is, and which part of it is used; what is empty is recognised.

    Attributes:
        repository: ``OWNER/NAME``.
        revision: a commit, branch or tag; empty: `NEWEST` when it is first fetched.
        config: configuration, of which some repositories have several.
        image, label, caption: names of columns; ``caption`` is `NONE` for no captions.
        train, test: names of the splits.
    """

    repository: str
    revision: str = ""
    config: str = ""
    image: str = ""
    label: str = ""
    caption: str = ""
    train: str = ""
    test: str = ""

    @property
    def chosen(self) -> dict[str, str]:
        """What is not to be recognised, by key."""
        values = {name: getattr(self, name) for name in KEYS}
        return {name: value for name, value in values.items() if value}

    @property
    def title(self) -> str:
        """The text that :func:`parse` reads."""
        revision = f"@{self.revision}" if self.revision else ""
        return ",".join([self.repository + revision, *(f"{name}={v}" for name, v in self.chosen.items())])

    @property
    def branch(self) -> str:
        """The revision, also where none is stated."""
        return self.revision or NEWEST

    def pinned(self, commit: str) -> Address:
        """Return the same with a commit as its revision."""
        return replace(self, revision=commit)

    def folder_name(self, commit: str) -> str:
        """Return the name of the folder of a commit; other choices give other images."""
        return f"{commit}-{digest(self.chosen)[:CHOICE_DIGITS]}" if self.chosen else commit


KEYS = tuple(each.name for each in fields(Address) if each.name not in ("repository", "revision"))


def parse(text: str) -> Address:
    """Parse what follows `hf:`.

    Raises:
        UvlpError: it has another form, or a key that does not exist, is empty or is given twice.
    """
    head, *choices = text.split(",")
    repository, at, revision = head.partition("@")
    if not REPOSITORY.fullmatch(repository) or (at and not _is_revision(revision)):
        raise UvlpError("not the address of a dataset of the hub", got=f"hf:{text}", allowed=FORM)
    chosen: dict[str, str] = {}
    for choice in choices:
        name, equals, value = choice.partition("=")
        if equals and name not in KEYS:
            raise unknown_name("key of a dataset of the hub", name, KEYS)
        if not value.strip() or not value.isprintable() or name in chosen:
            what = "a choice in the address of a dataset of the hub is not KEY=VALUE, once per key"
            raise UvlpError(what, got=choice, allowed=", ".join(KEYS))
        chosen[name] = value
    return Address(repository=repository, revision=revision, **chosen)


def _is_revision(text: str) -> bool:
    return bool(REVISION.fullmatch(text)) and ".." not in text
