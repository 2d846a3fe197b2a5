"""The launcher of a command: its name, and its settings from a file and from `--set launcher.KEY=VALUE`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from uvlp.cli.options import Options
from uvlp.core.errors import UvlpError
from uvlp.core.files import toml_files
from uvlp.core.files.paths import expand_home
from uvlp.declarations.launcher import HERE, LOCAL, Launcher, declared_launcher
from uvlp.pipeline.requests import config
from uvlp.recipes import overrides
from uvlp.recipes.setting import check_limits

SECTION = "launcher"
SBATCH = "sbatch"
"""The table of the file, and the prefix of `--set`, for arguments of the cluster's own command."""


def split_settings(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the values of ``--set`` into the launcher's own, without prefix, and the recipe's."""
    prefix = f"{SECTION}."
    own = [text.removeprefix(prefix) for text in texts if text.startswith(prefix)]
    return own, [text for text in texts if not text.startswith(prefix)]


def of_options(options: Options) -> tuple[Options, Launcher]:
    """Return a command's options without the settings of the launcher, and the launcher.

    Only a launcher that the command line or the config names is printed by ``--print-config``: the user's own
    file is about the user.

    Raises:
        UvlpError: see `resolve`; the config's table is none.
    """
    own, settings = split_settings(options["settings"] or [])
    others = {**options, "settings": settings}
    table = _table(options.get("config"))
    if options.get("print_config") and not options["launcher"] and table is None and not own:
        return others, HERE
    launcher = resolve(
        *(options["launcher"], options["launcher_config"], own),
        table=table,
        detach=options.get("detach", False),
        dry_run=options["dry_run"] or options.get("print_config", False),
    )
    return others, launcher


def _table(file: str | None) -> Mapping[str, Any] | None:
    """Return the table of the launcher in a config; None without any."""
    if file is None:
        return None
    table = config.read(expand_home(file)).get(SECTION)
    if table is not None and not isinstance(table, Mapping):
        raise UvlpError(f"{file}: {SECTION} must be a table", got=table, fix=f"write [{SECTION}]")
    return table


def resolve(
    name: str | None,
    file: str | None,
    texts: Sequence[str],
    *,
    table: Mapping[str, Any] | None = None,
    detach: bool,
    dry_run: bool = False,
) -> Launcher:
    """Return the launcher with its settings; `--set` overrides the file, the file the defaults.

    A dry run needs no cluster. The user's own file, ``~/.config/uvlp/launcher.toml``, may name the launcher
    too: ``launcher = "slurm"``.

    Args:
        name: of the launcher; None: the file's.
        file: with its settings; None: the user's own.
        texts: further settings, ``KEY=VALUE``.
        table: settings of a config, which ``file`` replaces.
        detach: return when all jobs are submitted.
        dry_run: submit none.

    Raises:
        UvlpError: an unknown launcher or setting, an invalid value, or a file that cannot be read.
    """
    own = file is None and table is None
    where = f"[{SECTION}] of --config" if table is not None and file is None else str(_path(file))
    content = dict(table) if table is not None and file is None else _read(file)
    named = content.pop(SECTION, None)
    if isinstance(named, Mapping):
        fix = f"write its lines without [{SECTION}], or give the file as --config"
        raise UvlpError(f"{where} has a table [{SECTION}]", got=dict(named), fix=fix)
    name = next((each for each in (name, named) if each is not None), LOCAL)
    if not isinstance(name, str):
        raise UvlpError(f"{where}: {SECTION} must be a text", got=name)
    declared = declared_launcher(name)
    if own and (name == LOCAL or named not in (None, name)):
        content = {}  # the user's own file is about another launcher
    settings = declared.settings()
    pairs = [(where, *pair) for pair in _pairs(content)]
    pairs += [("--set", *_pair(text)) for text in texts]
    if pairs and name == LOCAL:
        raise UvlpError(f"--launcher {LOCAL} has no settings", got=pairs[0][1], fix="name another one")
    if detach and not declared.remote:
        raise UvlpError("--detach needs a launcher that submits jobs", got=name, fix="add --launcher slurm")
    for source, key, value in pairs:
        try:
            settings = _apply(settings, key, value)
        except UvlpError as error:
            what = f"{source}: {error.what} of the launcher"
            raise UvlpError(what, got=error.got, allowed=error.allowed, fix=error.fix) from error
    check_limits(settings, SECTION)
    if declared.check is not None and not dry_run:
        declared.check(settings)
    return Launcher(name=name, settings=settings, detach=detach)


def _path(file: str | None) -> Path:
    """Return the path of the file, or of the user's own one."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(expand_home(file) if file is not None else expand_home(base) / "uvlp" / "launcher.toml")


def _read(file: str | None) -> dict[str, Any]:
    """Return the content of the file; the user's own one need not exist."""
    path = _path(file)
    if file is None and not path.is_file():
        return {}
    return toml_files.read(path, "see docs/cluster.md, or give another --launcher-config")


def _pairs(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", each) for name, each in value.items())
        else:
            yield key, value


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        fix = f"for example --set {SECTION}.partition=gpu"
        raise UvlpError("--set needs key=value", got=f"{SECTION}.{text}", fix=fix)
    return key, value


def _apply(settings: Any, key: str, value: Any) -> Any:
    """Return the settings with one changed; `sbatch.KEY` is added to `sbatch`, a text is a list of one.

    Args:
        settings: of a launcher.
        key: name of one, or `sbatch.KEY`.
        value: of TOML, or a text of the command line.

    Raises:
        UvlpError: there is no such setting, or the value is of another type.
    """
    section, _, rest = key.partition(".")
    if section == SBATCH and rest and hasattr(settings, SBATCH):
        if not isinstance(value, str | int | float):
            raise UvlpError(f"wrong type of setting {key}", got=value, allowed="a text or a number")
        kept = tuple(each for each in settings.sbatch if each.partition("=")[0] != rest)
        return overrides.merge(settings, {SBATCH: (*kept, f"{rest}={_text(value)}")})
    if isinstance(getattr(settings, key, None), tuple):
        values = [value] if value and isinstance(value, str) else value or []
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise UvlpError(f"wrong type of setting {key}", got=value, allowed="a list of texts")
        return overrides.merge(settings, {key: tuple(values)})
    return overrides.apply(settings, key, value)


def _text(value: Any) -> str:
    """Return a value of TOML in the form of the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
