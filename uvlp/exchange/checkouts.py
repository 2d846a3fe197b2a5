"""A clone of exactly one commit of a repository, for code of others that UVLP does not contain."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from uvlp.core.errors import UvlpError
from uvlp.core.files.os_errors import FREE_SPACE, FULL_WORDS, explain_os_errors
from uvlp.exchange.baselines import Baseline

CAREFUL = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "submodule.recurse=false"),
    *("-c", "advice.detachedHead=false"),
)
"""Options under which nothing of a repository is run, and no other one is fetched."""
ENVIRONMENT = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
"""English messages, no question for a password, no download of large files."""
REDIRECTING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
"""Variables that would make git work on another repository."""
GONE = re.compile(r"not our ref|unadvertised object|couldn't find remote ref|unable to read tree")
NO_REPOSITORY = re.compile(
    r"repository .*not found|could not read Username|does not appear to be a git repository"
    r"|Authentication failed|terminal prompts disabled"
)
NO_NETWORK = re.compile(
    r"Could not resolve|unable to access|Connection (refused|reset|timed out)|Failed to connect"
    r"|Network is unreachable|Operation timed out|early EOF|hung up unexpectedly"
)
REASON = re.compile(r"(?:fatal|error): (.*)")


def fetch(baseline: Baseline, folder: Path) -> None:
    """Clone the pinned commit, without history, submodules and hooks, into a new ``folder``.

    Raises:
        UvlpError: no git, no network, a commit or repository that is gone, a folder with files, or a disk
            that cannot be written.
    """
    git = shutil.which("git")
    if git is None:
        raise UvlpError("git is not installed", fix="install git, or clone elsewhere and copy the folder")
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise UvlpError(
            "the folder for the clone exists",
            got=str(folder),
            allowed="a new or empty folder",
            fix="delete it, or choose another with --to",
        )
    fix = "free some space, make it writable, or choose another folder with --to"
    with explain_os_errors(folder.parent, "cannot write the clone", fix):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
            clone = Path(scratch) / folder.name
            clone.mkdir()
            _clone(git, baseline, clone)
            os.rename(clone, folder)


def _clone(git: str, baseline: Baseline, clone: Path) -> None:
    """Fetch and check out the commit in the empty folder ``clone``."""
    steps: Sequence[Sequence[str]] = (
        ("init", "--quiet", "--template="),
        ("remote", "add", "origin", baseline.repository),
        ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "origin", baseline.commit),
        ("checkout", "--quiet", "--detach", "FETCH_HEAD"),
    )
    for step in steps:
        ran = _run(git, clone, step)
        if ran.returncode:
            raise _explained(baseline, ran.stderr)
    head = _run(git, clone, ("rev-parse", "HEAD")).stdout.strip()
    if head != baseline.commit:
        what = f"the repository of {baseline.name} answered with another commit"
        raise UvlpError(what, got=head, allowed=baseline.commit, fix="do not use it; try again later")


def _run(git: str, folder: Path, words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in REDIRECTING}
    return subprocess.run(
        [git, *CAREFUL, "-C", str(folder), *words],
        env=environment | ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _explained(baseline: Baseline, printed: str) -> UvlpError:
    """Return the error for what git printed."""
    reasons = REASON.findall(printed) or [printed.strip() or "no reason given"]
    got = f"{baseline.repository} at {baseline.commit}"
    if FULL_WORDS.search(printed.lower()):
        return UvlpError("the disk is full", got=reasons[0], fix=FREE_SPACE)
    if GONE.search(printed):
        what = f"the commit of {baseline.name} is no longer in its repository"
        return UvlpError(what, got=got, fix="ask its authors, or pin another commit in docker/baselines.toml")
    if NO_REPOSITORY.search(printed):
        what = f"the repository of {baseline.name} is not there, or not public"
        return UvlpError(what, got=got, fix="ask its authors, or pin another repository")
    if NO_NETWORK.search(printed):
        what = f"the repository of {baseline.name} cannot be reached: {reasons[0]}"
        return UvlpError(what, got=got, fix="fetch it on a machine with a network, and copy the folder")
    return UvlpError(f"git cannot clone {baseline.name}: {reasons[0]}", got=got)
