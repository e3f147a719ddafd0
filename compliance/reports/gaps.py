"""What is not in the record: gaps, sessions that never ended, calls whose end is missing, broken lines."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from compliance.chain import Record
from compliance.events import (
    AuditEvent,
    Decided,
    Gap,
    Patched,
    Ran,
    Refused,
    SessionEnded,
    SessionStarted,
)
from compliance.reports.base import MOST_KEYS, Cell, Report

MOST_ROWS: Final = 10_000


@dataclass(slots=True)
class Gaps:
    _sessions: OrderedDict[str, Record] = field(default_factory=OrderedDict)  # begun, not ended
    _calls: OrderedDict[tuple[str, str], Record] = field(default_factory=OrderedDict)  # judged, no end yet
    _rows: list[tuple[Cell, ...]] = field(default_factory=list)
    _more: int = 0

    def feed(self, record: Record, event: AuditEvent) -> None:
        match event:
            case SessionStarted(session=session):
                self._sessions[session] = record
                if len(self._sessions) > MOST_KEYS:
                    self._unended(*self._sessions.popitem(last=False))
            case SessionEnded(session=session):
                self._sessions.pop(session, None)
                for key in [key for key in self._calls if key[0] == session]:
                    self._open_call(key, self._calls.pop(key))
            case Decided(session=session, call=call):
                self._calls[session, call] = record
                if len(self._calls) > MOST_KEYS:
                    self._open_call(*self._calls.popitem(last=False))
            case Ran(session=session, call=call) | Patched(session=session, call=call):
                self._calls.pop((session, call), None)
            case Refused(session=session, call=call):
                self._calls.pop((session, call), None)
            case Gap():
                self._row(record, event.kind.value, event.session, event.count, event.reason)
            case _:
                pass

    def _open_call(self, key: tuple[str, str], record: Record) -> None:
        self._row(record, "no end", key[0], 1, f"call {key[1]} was judged, and no outcome is recorded")

    def _unended(self, session: str, record: Record) -> None:
        self._row(record, "no end", session, 1, "the session has no recorded end: it runs on, or was killed")

    def _row(self, record: Record, *cells: Cell) -> None:
        if len(self._rows) < MOST_ROWS:
            self._rows.append((record.seq, record.time, *cells))
        else:
            self._more += 1

    def answer(self) -> Report:
        for key, record in self._calls.items():
            self._open_call(key, record)
        for session, record in self._sessions.items():
            self._unended(session, record)
        self._calls.clear()
        self._sessions.clear()
        notes = [f"{len(self._rows) + self._more} gaps"]
        if self._more:
            notes.append(f"{self._more} are not listed: name a shorter period")
        notes.append("edits, cuts and other breaks of the chain are told by `agent audit verify`")
        return Report(
            title="What is not in the record",
            columns=("record", "time", "kind", "session", "count", "reason"),
            rows=tuple(sorted(self._rows, key=lambda row: row[:2])),
            notes=tuple(notes),
        )
