"""Who answered what was asked, under which rule, and how long it took."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from compliance.chain import Record
from compliance.events import Approved, AuditEvent, Decided
from compliance.reports.base import MOST_KEYS, OTHERS, SILENCE, Report
from execpolicy.decision import Decision


@dataclass(slots=True)
class _Answers:
    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class Approvals:
    _open: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)  # asked, not yet answered
    _answers: dict[tuple[str, str, str], _Answers] = field(default_factory=dict)
    _unanswered: int = 0

    def feed(self, record: Record, event: AuditEvent) -> None:
        match event:
            case Decided(session=session, call=call, verdict=verdict) if verdict.decision is Decision.ASK:
                rule = verdict.deciding
                self._open[session, call] = rule.rule_id if rule else SILENCE
                if len(self._open) > MOST_KEYS:
                    self._open.popitem(last=False)
                    self._unanswered += 1
            case Approved():
                self._answered(event)
            case _:
                pass

    def _answered(self, event: Approved) -> None:
        rule = self._open.pop((event.session, event.call), "(not in the period)")
        key = (rule, event.answer.value, event.approver or "nobody")
        if key not in self._answers and len(self._answers) >= MOST_KEYS:
            key = (OTHERS, event.answer.value, OTHERS)
        found = self._answers.setdefault(key, _Answers())
        found.count += 1
        found.seconds += event.seconds
        found.longest = max(found.longest, event.seconds)

    def answer(self) -> Report:
        rows = tuple(
            (*key, found.count, f"{found.seconds / found.count:.1f}", f"{found.longest:.1f}")
            for key, found in sorted(self._answers.items())
        )
        without = self._unanswered + len(self._open)
        return Report(
            title="Who answered what was asked",
            columns=("rule", "answer", "approver", "answers", "mean seconds", "longest"),
            rows=rows,
            notes=(
                f"{sum(found.count for found in self._answers.values())} answers",
                f"{without} asks without an answer in the record",
            ),
        )
