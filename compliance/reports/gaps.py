"""What is not in the record: gaps, broken and unsigned spans, sessions, asks and calls without an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from compliance.chain import Record
from compliance.events import (
    Approved,
    Decided,
    Gap,
    Patched,
    Ran,
    Refused,
    SessionEnded,
    SessionStarted,
    ToolCalled,
    Witnessed,
)
from compliance.reading import Seen, Spoiled
from compliance.reports.base import MOST_KEYS, Recent, Report, Rows, Table
from compliance.soundness import Soundness
from execpolicy.decision import Decision


@dataclass(frozen=True, slots=True)
class _Open:
    """Where something began that has no end yet."""

    log: str
    record: Record
    ask: bool = False


@dataclass(slots=True)
class Gaps:
    """`sound` says how each log was found as a whole."""

    sound: Sequence[Soundness] = ()
    _sessions: Recent[str, _Open] = field(default_factory=Recent)  # begun, not ended
    _calls: dict[str, dict[str, _Open]] = field(default_factory=dict)  # of each session: judged, no end yet
    _open: int = 0  # calls in all of these
    _rows: Rows = field(default_factory=Rows)
    _explained: int = 0
    _last: dict[str, Record] = field(default_factory=dict)  # of each log
    _spoiled: dict[str, tuple[int, str]] = field(default_factory=dict)  # how many in a row, where they begin

    @property
    def kinds(self) -> tuple[str, ...]:
        return ()  # all: numbers that are missing are gaps, too

    def feed(self, seen: Seen) -> None:
        self._order(seen)
        record, log = seen.record, seen.log.name
        match seen.event:
            case SessionStarted(session=session):
                if out := self._sessions.put(session, _Open(log, record)):
                    self._unended(*out)
            case SessionEnded(session=session):
                self._sessions.pop(session, None)
                for call, at in self._calls.pop(session, {}).items():
                    self._open_call(session, call, at)
            case Decided(session=session, call=call, verdict=verdict):
                self._judged(session, call, _Open(log, record, verdict.decision is Decision.ASK))
            case Approved(session=session, call=call):
                calls = self._calls.get(session, {})
                if call in calls:
                    calls[call] = _Open(log, calls[call].record)
            case Ran() | Patched() | Refused() | ToolCalled() as event:
                self._ended(event.session, event.call)
            case Witnessed(cosigned=False, why=why, size=size):
                self._told(log, record, "not witnessed", seen.event.session, size, why)
            case Gap() as event:
                self._told(log, record, event.kind.value, event.session, event.count, event.reason)
            case _:
                pass

    def spoil(self, spoiled: Spoiled) -> None:
        count, where = self._spoiled.get(spoiled.log.name, (0, f"{spoiled.segment}:{spoiled.number}"))
        self._spoiled[spoiled.log.name] = (count + 1, where)

    def _order(self, seen: Seen) -> None:
        """A clock that went back, and the end of a span that is not as it was sealed."""
        log, record = seen.log.name, seen.record
        last = self._last.get(log)
        self._end_span(log, record.time)
        if last is not None and record.time < last.time:
            why = f"the clock went back from {last.time} (record {last.seq})"
            self._unexplained(log, record.seq, record.time, "clock", seen.event.session, 1, why)
        self._last[log] = record

    def _end_span(self, log: str, until: str) -> None:
        span = self._spoiled.pop(log, None)
        if span is None:
            return
        last = self._last.get(log)
        since = last.time if last else "the beginning"
        why = f"from {span[1]} on, between {since} and {until}, lines are not as they were sealed, or of a newer kind"
        self._unexplained(
            log, last.seq + 1 if last else 1, last.time if last else "", "unverified", "", span[0], why
        )

    def _judged(self, session: str, call: str, at: _Open) -> None:
        calls = self._calls.setdefault(session, {})
        self._open += call not in calls
        calls[call] = at
        while self._open > MOST_KEYS:  # the oldest fall out, and are told
            oldest = next(iter(self._calls))
            other = next(iter(self._calls[oldest]))
            self._open_call(oldest, other, self._calls[oldest].pop(other))
            if not self._calls[oldest]:
                del self._calls[oldest]

    def _ended(self, session: str, call: str) -> None:
        calls = self._calls.get(session, {})
        if calls.pop(call, None) is not None:
            self._open -= 1
            if not calls:
                del self._calls[session]

    def _open_call(self, session: str, call: str, at: _Open) -> None:
        self._open -= 1
        kind = "no answer" if at.ask else "no outcome"
        why = f"call {call} was {'asked about, and no answer' if at.ask else 'judged, and no outcome'} is recorded"
        self._unexplained(at.log, at.record.seq, at.record.time, kind, session, 1, why)

    def _unended(self, session: str, at: _Open) -> None:
        why = "the session has no recorded end: it runs on, or was killed"
        self._unexplained(at.log, at.record.seq, at.record.time, "no end", session, 1, why)

    def _told(self, log: str, record: Record, kind: str, session: str, count: int, why: str) -> None:
        """The record itself says why."""
        self._explained += bool(why)
        self._rows.add(log, record.seq, record.time, kind, session, count, "yes" if why else "no", why)

    def _unexplained(
        self, log: str, seq: int, time: str, kind: str, session: str, count: int, why: str
    ) -> None:
        self._rows.add(log, seq, time, kind, session, count, "no", why)

    def answer(self) -> Report:
        for log in list(self._spoiled):
            self._end_span(log, "the end")
        for session, calls in self._calls.items():
            for call, at in calls.items():
                self._open_call(session, call, at)
        for session, at in self._sessions.items():
            self._unended(session, at)
        self._calls.clear()
        self._sessions.clear()
        for one in self.sound:
            self._seal(one)
        total = self._rows.total
        return Report(
            title="What is not in the record",
            tables=(
                Table(
                    name="gaps",
                    columns=("log", "record", "time", "kind", "session", "count", "explained", "reason"),
                    rows=tuple(sorted(self._rows.rows, key=lambda row: (row[0], row[1], row[2]))),
                ),
            ),
            notes=(
                f"{total} gaps, of these {total - self._explained} without a recorded explanation",
                *self._rows.note("gaps"),
                *(f"{one.log.name or 'the log'}: {one.text}" for one in self.sound),
            ),
        )

    def _seal(self, one: Soundness) -> None:
        """What is wrong with the log as a whole."""
        log = one.log.name
        for flaw in one.flaws:
            where = f"{flaw.segment}:{flaw.line}: {flaw.message}"
            self._unexplained(log, flaw.seq, "", flaw.kind.value, "", 1, where)
        if not one.log.sealed:
            self._unexplained(log, 0, "", "export", "", 1, one.text)
        elif one.records and not one.checkpoints:
            why = "no checkpoint was signed: a log replaced as a whole is not seen"
            self._unexplained(log, 1, "", "no checkpoint", "", one.records, why)
        elif one.unsigned > 0:
            last = one.checkpoints[-1].checkpoint.size
            why = f"records after {last}, the last checkpoint, are not signed yet"
            self._unexplained(log, last + 1, "", "unsigned", "", one.unsigned, why)
