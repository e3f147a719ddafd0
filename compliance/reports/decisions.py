"""What was decided: tool by tool, day by day, and for whom; and whether a rule or silence decided."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from compliance.events import Decided
from compliance.reading import Seen, Spoiled
from compliance.reports.base import MOST_KEYS, OTHERS, Cell, Report, Table, tally
from execpolicy.decision import Decision


@dataclass(slots=True)
class _Count:
    verdicts: int = 0
    first: str = ""
    last: str = ""


@dataclass(slots=True)
class Decisions:
    _counts: dict[tuple[str, Decision, str], _Count] = field(default_factory=dict)
    _days: Counter[tuple[str, Decision]] = field(default_factory=Counter)
    _people: Counter[tuple[str, str, Decision]] = field(default_factory=Counter)

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("decided",)

    def feed(self, seen: Seen) -> None:
        event, time = seen.event, seen.record.time
        if not isinstance(event, Decided):
            return
        verdict = event.verdict
        by = "rule" if verdict.deciding else "silence"
        key = (event.tool, verdict.decision, by)
        if key not in self._counts and len(self._counts) >= MOST_KEYS:
            key = (OTHERS, verdict.decision, by)
        count = self._counts.setdefault(key, _Count())
        count.verdicts += 1
        count.first = min(count.first or time, time)
        count.last = max(count.last, time)
        tally(self._days, (time[:10], verdict.decision), (OTHERS, verdict.decision))
        started = seen.scene.started
        who = (started.user, started.host) if started else ("", "")
        if (*who, verdict.decision) not in self._people and len(self._people) >= MOST_KEYS:
            who = (OTHERS, OTHERS)
        self._people[(*who, verdict.decision)] += 1

    def spoil(self, spoiled: Spoiled) -> None:
        pass

    def answer(self) -> Report:
        tools = tuple(
            (tool, decision.word, by, count.verdicts, count.first, count.last)
            for (tool, decision, by), count in sorted(self._counts.items())
        )
        days: tuple[tuple[Cell, ...], ...] = tuple(
            (day, *(self._days[day, decision] for decision in Decision))
            for day in sorted({day for day, _ in self._days})
        )
        people: tuple[tuple[Cell, ...], ...] = tuple(
            (
                user or "(not known)",
                host or "(not known)",
                *(self._people[user, host, one] for one in Decision),
            )
            for user, host in sorted({(user, host) for user, host, _ in self._people})
        )
        total = sum(count.verdicts for count in self._counts.values())
        return Report(
            title="What was decided",
            tables=(
                Table(
                    name="by tool",
                    columns=("tool", "decision", "decided by", "verdicts", "first", "last"),
                    rows=tools,
                ),
                Table(name="by day", columns=("day", "allow", "ask", "deny"), rows=days),
                Table(name="by user", columns=("user", "host", "allow", "ask", "deny"), rows=people),
            ),
            notes=(f"{total} verdicts", "days and times are UTC"),
        )
