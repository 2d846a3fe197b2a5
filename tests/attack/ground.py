"""Attacks as data: damage to a prepared store or folder, the command, and the expected outcome.

Every attack gets a copy of the prepared data in its working folder:

    store/   a finished run of `NANO` (random and vlcp on digits)     images/  a small dataset of the user's
    out/     images that some method made for digits                 mine/    other files of the user's
    scored/  a finished run of `RDED`, which has a teacher           models/  tiny ones, published formats

Each attack states the expected exit code and parts of the message, or that the correct table is printed.
Always required: no file of the user's changes, a refusal changes no artifact, and there is no traceback.
"""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NANO = ("reproduce", "digits", "2", "--profile", "nano", "--method", "random,vlcp", "--workers", "1")
FOLDER = ("reproduce", "folder:images", "2", "--profile", "nano", "--method", "random", "--workers", "1")
EVALUATE = ("evaluate", "out", "--dataset", "digits", "--profile", "nano", "--workers", "1")
RDED = (*EVALUATE, "--protocol", "rded")
NOTHING = "the numbers mean nothing"
TABLE = "digits-ipc2-nano"
REPOSITORY = Path(__file__).resolve().parent.parent.parent
PYTHON = (sys.executable,)
PATIENCE_S = 120.0
MOST_BYTES = 8 << 30
USERS = ("images", "out", "mine")
STORES = ("store", "scored")
PASSING = re.compile(
    r"\.locks|\.runs|\.tmp|partial|logs|datasets|\.verified\.json|imported|set_aside|uvlp_store\.json"
)
"""Paths in a store that are not artifacts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a call.

    Attributes:
        code: exit code, None if it had to be killed.
        out: standard output.
        err: standard error.
    """

    code: int | None
    out: str
    err: str

    def __str__(self) -> str:
        return f"code {self.code}, out {self.out[-300:]!r}, err {self.err[-1200:]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Expected outcome of an attack.

    Attributes:
        code: exit code.
        words: in the error message, or in the output; case is ignored.
        true: with code 0 the table on standard output is the correct one.
        absent: must not be printed anywhere.
    """

    code: int
    words: tuple[str, ...] = ()
    true: bool = False
    absent: tuple[str, ...] = ()


def refused(*words: str) -> Expected:
    """One line that contains these words, exit code 2."""
    return Expected(code=2, words=words)


def done(*words: str) -> Expected:
    """Exit code 0, and these words in the output."""
    return Expected(code=0, words=words)


def right() -> Expected:
    """The same table as without the attack."""
    return Expected(code=0, true=True)


Prepare = Callable[[Path], object]


def steps(*actions: Prepare) -> Prepare:
    """Several actions on one path, one after the other."""

    def all_of_them(path: Path) -> None:
        for action in actions:
            action(path)

    return all_of_them


def nothing(root: Path) -> None:
    """No damage: the call is the attack."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        kind: of the fault it looks for, as in the report: A, B1, ..., case 07.
        name: unique.
        call: command-line arguments; relative paths start at the attack's folder.
        expected: the expected outcome.
        prepare: the damage, given the attack's folder.
        environment: variables set for the call, None to unset one.
        needs: parts of the prepared data that are copied for it.
        changes: artifacts that may change, as a pattern; a refusal may change no other.
        run: makes the calls, if a single call with open streams is not enough.
    """

    kind: str
    name: str
    call: Sequence[str | bytes]
    expected: Expected
    prepare: Prepare = nothing
    environment: Mapping[str, str | None] = field(default_factory=dict)
    needs: tuple[str, ...] = ("store",)
    changes: str = ""
    run: Callable[[Attack, Path], Outcome] | None = None


def environment(attack: Attack) -> dict[str, str]:
    """The environment of the call."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    found = {name: value for name, value in os.environ.items() if not name.startswith(("UVLP_", "HF_"))}
    found |= {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "HF_HOME": "hf", "COLUMNS": "2000"}
    for name, value in attack.environment.items():
        found.pop(name, None)
        if value is not None:
            found[name] = value
    return found


def call(
    attack: Attack,
    root: Path,
    python: Sequence[str] = ("-m", "uvlp"),
    patience_s: float | None = None,
    **streams: object,
) -> Outcome:
    """Call the command line in a new process; after a timeout it is killed with its children.

    Args:
        attack: gives the arguments and the environment.
        root: the current folder.
        python: what Python runs.
        patience_s: how long it may take.
        streams: options of the process.
    """
    options: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    process = subprocess.Popen(  # type: ignore[call-overload]
        [*PYTHON, *python, *attack.call], cwd=root, env=environment(attack), start_new_session=True, **options
    )
    resource.prlimit(process.pid, resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    try:
        out, err = process.communicate(timeout=patience_s or PATIENCE_S)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code = None
    encoding = attack.environment.get("PYTHONIOENCODING") or "utf-8"
    return Outcome(code, *((text or b"").decode(encoding, "replace") for text in (out, err)))


def copy_parts(ground: Path, root: Path, attack: Attack) -> None:
    """Copy the prepared data that the attack needs."""
    for part in {*attack.needs, "mine"}:
        shutil.copytree(ground / part, root / part, symlinks=True)


def hashes(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """State of every file, link and folder in some folders, by name."""
    found = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*")) if (root / folder).is_dir() else []:
            found[path.relative_to(root).as_posix()] = _state(path)
    return found


def _state(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return "folder" if path.is_dir() else "other"


def artifacts(root: Path) -> dict[str, str]:
    """Like `hashes`, for the artifacts in the stores."""
    found = hashes(root, STORES)
    return {name: state for name, state in found.items() if not PASSING.match(name.partition("/")[2])}


def attempt(attack: Attack, ground: Path, root: Path) -> str:
    """Run an attack in the empty folder ``root``; return "ok" or a description of the failure."""
    copy_parts(ground, root, attack)
    attack.prepare(root)
    users, kept = hashes(root, USERS), artifacts(root)
    try:
        outcome = (attack.run or call)(attack, root)
    except subprocess.TimeoutExpired as error:
        return f"hang: {error}"
    verdict = judge(attack, outcome, (ground / "table.md").read_text(encoding="utf-8"))
    users_after, after = hashes(root, USERS), artifacts(root)
    lost = [name for name, state in users.items() if users_after.get(name) != state]
    if lost:
        return f"lost: {lost[:5]}; {outcome}"
    touched = [
        name
        for name, state in kept.items()
        if after.get(name) != state and not (attack.changes and re.search(attack.changes, name))
    ]
    if touched and state_counts(attack, outcome):
        return f"lost: artifacts {touched[:5]}; {outcome}"
    return verdict


def state_counts(attack: Attack, outcome: Outcome) -> bool:
    """Return whether changed artifacts are a failure: not with --force, unless it refused."""
    return outcome.code == 2 or "--force" not in attack.call


def judge(attack: Attack, outcome: Outcome, table: str) -> str:
    """The verdict on what was printed and returned."""
    expected, text = attack.expected, f"{outcome.out}\n{outcome.err}"
    if outcome.code is None:
        return f"hang: {outcome}"
    unexpected = outcome.code != expected.code
    if "Traceback (most recent call last)" in text or (
        unexpected and (outcome.code == 1 or outcome.code < 0)
    ):
        return f"crash: {outcome}"
    if unexpected:
        verdict = "silently wrong" if outcome.code == 0 else "refused wrongly"
        return f"{verdict}: code {outcome.code}, expected {expected.code}; {outcome}"
    if expected.true and outcome.code == 0 and shown(outcome.out) != shown(table):
        return f"silently wrong: another table; {outcome}"
    if any(words in text for words in expected.absent):
        return f"message: contains what it must not; {outcome}"
    refusal = "\n".join(line for line in outcome.err.splitlines() if line.startswith("uvlp: "))
    where = refusal if outcome.code == 2 else text
    if outcome.code == 2 and refusal.count("\n"):
        return f"message: more than one line; {outcome}"
    lacking = [words for words in expected.words if words.casefold() not in where.casefold()]
    if lacking:
        return f"message: lacks {lacking}; {outcome}"
    return "ok"


def shown(text: str) -> list[str]:
    """The rows of the tables in a text and the note that its numbers mean nothing, in ASCII."""
    kept = [line for line in text.splitlines() if line.startswith("|")]
    kept += [NOTHING] * (NOTHING in text)
    return [re.sub(r"\\x[0-9a-f]{2}|[^ -~]|\?", "", line) for line in kept]
