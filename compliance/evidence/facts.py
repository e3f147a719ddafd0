"""What a record says, counted; each fact is a sentence with its number, or is not supported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from compliance.chain import Record
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Revoked,
    SessionEnded,
    SessionStarted,
)
from execpolicy.decision import Decision

MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Fact:
    """`supported` only when at least one record says so."""

    supported: bool
    text: str


@dataclass(frozen=True, slots=True)
class Seal:
    """How the whole log was found when the pack was made."""

    intact: bool
    text: str
    checkpoints: int  # sound ones, signed by the key of the log


@dataclass(slots=True)
class Facts:
    """Eats the records of the period."""

    records: int = 0
    first: str = ""
    last: str = ""
    days: Counter[tuple[str, Decision]] = field(default_factory=Counter)
    decided: Counter[Decision] = field(default_factory=Counter)
    by_rule: Counter[tuple[str, str]] = field(default_factory=Counter)  # file, rule -> enforced verdicts
    answers: Counter[str] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)
    confined: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    sessions: int = 0
    users: set[str] = field(default_factory=set)
    loads: int = 0
    files: dict[tuple[str, str], PolicyFile] = field(default_factory=dict)  # path, digest
    gaps: int = 0

    def feed(self, record: Record, event: AuditEvent) -> None:
        self.records += 1
        self.first = self.first or record.time
        self.last = record.time
        match event:
            case Decided():
                self._decided(record, event)
            case Approved():
                self.answers[event.answer.value] += 1
                if event.approver and len(self.people) < MOST:
                    self.people.add(event.approver)
            case Ran():
                self.confined[event.sandbox] += 1
            case Refused():
                self.refused += 1
            case SessionStarted():
                self.sessions += 1
                if event.user and len(self.users) < MOST:
                    self.users.add(event.user)
            case PolicyLoaded():
                self.loads += 1
                for file in event.files:
                    if len(self.files) < MOST:
                        self.files[file.path, file.digest] = file
            case Gap():
                self.gaps += 1
            case Patched() | SessionEnded() | Revoked():
                pass

    def _decided(self, record: Record, event: Decided) -> None:
        decision = event.verdict.decision
        self.decided[decision] += 1
        self.days[record.time[:10], decision] += 1
        for key in {(one.origin.path, one.rule_id) for one in event.verdict.matches if one.enforced}:
            if key in self.by_rule or len(self.by_rule) < MOST:
                self.by_rule[key] += 1

    def named(self, seal: Seal) -> dict[str, Fact]:
        """Each fact that the catalogue speaks of."""
        total, person = sum(self.decided.values()), self.answers.total() - self.answers["unattended"]
        person -= self.answers["timeout"]
        kept = sum(count for name, count in self.confined.items() if name != "none")
        deny, ask = self.decided[Decision.DENY], self.decided[Decision.ASK]
        return {
            "decisions": Fact(
                total > 0, f"{total} calls were judged and the verdict recorded: {deny} denied, {ask} asked"
            ),
            "denials": Fact(
                self.refused > 0, f"{self.refused} calls did not run, each recorded with its reason"
            ),
            "oversight": Fact(
                person > 0, f"{person} questions were answered by {len(self.people)} named approvers"
            ),
            "confinement": Fact(
                kept > 0, f"{kept} of {self.confined.total()} commands that ran were confined by a sandbox"
            ),
            "log": Fact(self.records > 0, f"{self.records} records from {self.first} to {self.last}"),
            "sessions": Fact(
                self.sessions > 0 and bool(self.users),
                f"{self.sessions} sessions of {len(self.users)} named users were recorded",
            ),
            "change": Fact(
                bool(self.files),
                f"{len(self.files)} versions of rule files in force were recorded with their digests",
            ),
            "integrity": Fact(seal.intact and self.records > 0, f"the whole log was checked: {seal.text}"),
            "signed": Fact(
                seal.intact and seal.checkpoints > 0,
                f"{seal.checkpoints} signed checkpoints agree with the log",
            ),
            "gaps": Fact(
                self.gaps > 0, f"{self.gaps} gaps in the record were found and recorded with their reason"
            ),
        }
