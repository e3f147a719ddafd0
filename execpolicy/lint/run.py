"""The list of checks; runs them over a policy and honours what the files say to ignore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from execpolicy.diagnostics import Severity
from execpolicy.lint.base import Check, Finding, Subject
from execpolicy.lint.checks.conflicting import Conflicting
from execpolicy.lint.checks.duplicate import Duplicate
from execpolicy.lint.checks.evadable import Evadable
from execpolicy.lint.checks.expiring import Expiring
from execpolicy.lint.checks.option_word import OptionWord
from execpolicy.lint.checks.overbroad import Overbroad
from execpolicy.lint.checks.shadowed import Shadowed
from execpolicy.lint.checks.stray_exception import StrayException
from execpolicy.lint.checks.unanchored import Unanchored
from execpolicy.lint.checks.unexampled import Unexampled
from execpolicy.lint.checks.unknown_fact import UnknownFact
from execpolicy.lint.checks.unreachable import Unreachable
from execpolicy.lint.checks.unreasoned import Unreasoned
from execpolicy.lint.ignores import BadIgnore, Ignores

CHECKS: Final[tuple[Check, ...]] = (
    Duplicate(),
    Shadowed(),
    Conflicting(),
    Unreachable(),
    Overbroad(),
    Unreasoned(),
    Unexampled(),
    Evadable(),
    Expiring(),
    UnknownFact(),
    Unanchored(),
    StrayException(),
    OptionWord(),
    BadIgnore(),
)
MANY: Final = 200  # findings of one check that are shown


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, in the order of the files; `unshown` counts what was too much of one kind."""

    findings: tuple[Finding, ...]
    ignored: int = 0
    unshown: int = 0

    @property
    def serious(self) -> int:
        """Findings that are more than notes."""
        return sum(finding.severity is not Severity.NOTE for finding in self.findings)


def check_of(code: str) -> Check | None:
    """The check with this code or name."""
    return next((check for check in CHECKS if code.upper() == check.code or code == check.name), None)


def lint(subject: Subject, *, leave_out: Sequence[str] = (), many: int = MANY) -> Report:
    """Every finding but those of the checks `leave_out` and those that a comment ignores with a reason."""
    ignores = Ignores(subject.files)
    found: list[Finding] = []
    ignored = unshown = 0
    for check in CHECKS:
        if check.code in leave_out:
            continue
        shown = 0
        for finding in check.run(subject):
            if ignores.covers(finding):
                ignored += 1
            elif shown < many:
                shown += 1
                found.append(finding)
            else:
                unshown += 1
    ran = {check.code for check in CHECKS} - set(leave_out)
    if "L000" in ran:
        found += ignores.unused(ran)
    order = {file.source.path: number for number, file in enumerate(subject.files)}
    found.sort(key=lambda one: (order[one.file.source.path], one.origin.line, one.origin.column, one.code))
    return Report(tuple(found), ignored, unshown)
