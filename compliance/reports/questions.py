"""The questions by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from compliance.events import PolicyFile
from compliance.reports.approvals import Approvals
from compliance.reports.base import Question
from compliance.reports.coverage import Coverage
from compliance.reports.decisions import Decisions
from compliance.reports.drift import Drift
from compliance.reports.gaps import Gaps
from compliance.reports.rules import Rules
from compliance.reports.wanted import WantedPolicy
from compliance.rulebook import RuleBook, of_record
from compliance.soundness import Soundness

QUESTIONS: Final = ("decisions", "approvals", "rules", "coverage", "drift", "gaps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What some questions compare the record with."""

    book: Callable[[Iterable[PolicyFile]], RuleBook] = field(default=of_record)
    wanted: WantedPolicy | None = None
    sound: Sequence[Soundness] = ()


def question(name: str, beside: Beside = Beside()) -> Question:
    match name:
        case "decisions":
            return Decisions()
        case "approvals":
            return Approvals()
        case "rules":
            return Rules()
        case "coverage":
            return Coverage(beside.book)
        case "drift":
            return Drift(beside.wanted)
        case "gaps":
            return Gaps(beside.sound)
        case _:
            raise ValueError(name)
