"""How much of what was judged a rule spoke about, and what no rule knows."""

from __future__ import annotations

from dataclasses import dataclass, field

from compliance.chain import Record
from compliance.events import AuditEvent, Decided
from compliance.query import program_of
from compliance.reports.base import MOST_KEYS, OTHERS, Report
from execpolicy.decision import Part


@dataclass(slots=True)
class _Seen:
    parts: int = 0
    ruled: int = 0
    unknown: int = 0


@dataclass(slots=True)
class Coverage:
    _seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)

    def feed(self, record: Record, event: AuditEvent) -> None:
        if isinstance(event, Decided):
            for part in event.verdict.parts:
                seen = self._seen.setdefault(self._key(part), _Seen())
                seen.parts += 1
                seen.ruled += any(match.enforced for match in part.matches)
                seen.unknown += bool(part.unknowns)

    def _key(self, part: Part) -> tuple[str, str]:
        key = (part.kind, program_of(part) if part.kind == "command" else "")
        return key if key in self._seen or len(self._seen) < MOST_KEYS else (part.kind, OTHERS)

    def answer(self) -> Report:
        order = sorted(self._seen.items(), key=lambda item: (item[1].ruled - item[1].parts, item[0]))
        rows = tuple(
            (kind, program, seen.parts, seen.ruled, seen.parts - seen.ruled, seen.unknown)
            for (kind, program), seen in order
        )
        parts = sum(seen.parts for seen in self._seen.values())
        ruled = sum(seen.ruled for seen in self._seen.values())
        share = f"{100 * ruled / parts:.1f} %" if parts else "nothing was judged, so no share"
        return Report(
            title="What rules speak about",
            columns=("kind", "program", "judged", "by a rule", "by silence", "not fully read"),
            rows=rows,
            notes=(f"{ruled} of {parts} parts judged by an enforced rule: {share}",),
        )
