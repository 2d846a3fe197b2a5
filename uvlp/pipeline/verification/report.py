"""What a check compared, what does not hold, and what could not be compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

OK, FAIL, NOT_CHECKED = "ok", "FAIL", "not checked"


def counted(number: int, things: str) -> str:
    """A number and what it counts, of which the first word loses its s after 1."""
    first, space, rest = things.partition(" ")
    return f"{number} {first.removesuffix('s') if number == 1 else first}{space}{rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        file: below the store's root.
        what: does not hold.
        got: what the file says; empty where there is nothing to show.
        allowed: what it would have to say; empty where nothing would do.
    """

    file: str
    what: str
    got: str = ""
    allowed: str = ""

    def show(self) -> str:
        """One line."""
        parts = (f"got {self.got}" if self.got else "", f"allowed: {self.allowed}" if self.allowed else "")
        return f"{self.file}: {'; '.join(filter(None, [self.what, *parts]))}".replace("\n", " ")


@dataclass(slots=True, kw_only=True)
class Check:
    """One check of everything that it is about.

    Attributes:
        name: one word.
        one: what holds of one thing, with {} for the number: "{} manifest matches its folder and key".
        many: the same of several.
        checked: how many.
        findings: what does not hold.
        skipped: what was not compared and why, e.g. "tables with a damaged file", and how many times; the
            first word is a plural in -s.
        remarks: what a reader should know, and is no failure.
    """

    name: str
    one: str
    many: str
    checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """``"ok"``, ``"FAIL"`` or ``"not checked"``."""
        if self.findings:
            return FAIL
        return OK if self.checked else NOT_CHECKED

    @property
    def what(self) -> str:
        """What was compared, with the number."""
        return (self.one if self.checked == 1 else self.many).format(self.checked)

    @property
    def not_checked(self) -> list[str]:
        """What was not compared and why, with the numbers."""
        return [counted(number, things) for things, number in self.skipped.items()]

    def fail(self, file: str, what: str, got: object = "", allowed: object = "") -> None:
        """Report that something does not hold."""
        self.findings.append(Finding(file=file, what=what, got=str(got), allowed=str(allowed)))

    def compare(self, file: str, what: str, got: object, allowed: object) -> None:
        """Report where two values differ."""
        if got != allowed:
            self.fail(file, what, repr(got), repr(allowed))

    def as_json(self) -> dict[str, Any]:
        """The check as data."""
        return {
            "name": self.name,
            "state": self.state,
            "checked": self.checked,
            "what": self.what,
            "findings": [
                {"file": one.file, "what": one.what, "got": one.got, "allowed": one.allowed}
                for one in self.findings
            ],
            "not_checked": dict(self.skipped),
            "remarks": self.remarks,
        }
