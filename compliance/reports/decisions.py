"""What was decided, tool by tool, and whether a rule or silence decided."""

from __future__ import annotations

from dataclasses import dataclass, field

from compliance.chain import Record
from compliance.events import AuditEvent, Decided
from compliance.reports.base import MOST_KEYS, OTHERS, Report
from execpolicy.decision import Decision


@dataclass(slots=True)
class _Count:
    verdicts: int = 0
    first: str = ""
    last: str = ""


@dataclass(slots=True)
class Decisions:
    _counts: dict[tuple[str, Decision, str], _Count] = field(default_factory=dict)

    def feed(self, record: Record, event: AuditEvent) -> None:
        if not isinstance(event, Decided):
            return
        verdict = event.verdict
        by = "rule" if verdict.deciding else "silence"
        key = (event.tool, verdict.decision, by)
        if key not in self._counts and len(self._counts) >= MOST_KEYS:
            key = (OTHERS, verdict.decision, by)
        count = self._counts.setdefault(key, _Count())
        count.verdicts += 1
        count.first = count.first or record.time
        count.last = record.time

    def answer(self) -> Report:
        rows = tuple(
            (tool, decision.word, by, count.verdicts, count.first, count.last)
            for (tool, decision, by), count in sorted(self._counts.items())
        )
        total = sum(count.verdicts for count in self._counts.values())
        return Report(
            title="What was decided",
            columns=("tool", "decision", "decided by", "verdicts", "first", "last"),
            rows=rows,
            notes=(f"{total} verdicts",),
        )
