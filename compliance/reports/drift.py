"""How the rules in force changed, and where the same call was decided otherwise than before."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from compliance.chain import Record
from compliance.events import AuditEvent, Decided, PolicyFile, PolicyLoaded, SessionStarted
from compliance.reports.base import MOST_KEYS, Cell, Report
from execpolicy.decision import Decision

MOST_ROWS: Final = 10_000


@dataclass(slots=True)
class Drift:
    _workspaces: OrderedDict[str, str] = field(default_factory=OrderedDict)  # of sessions
    _files: OrderedDict[str, dict[tuple[str, str], PolicyFile]] = field(default_factory=OrderedDict)
    _verdicts: OrderedDict[bytes, tuple[Decision, int]] = field(default_factory=OrderedDict)
    _rows: list[tuple[Cell, ...]] = field(default_factory=list)
    _more: int = 0

    def feed(self, record: Record, event: AuditEvent) -> None:
        match event:
            case SessionStarted():
                self._workspaces[event.session] = event.workspace
                _bound(self._workspaces)
            case PolicyLoaded():
                self._loaded(record, event)
            case Decided():
                self._decided(record, event)
            case _:
                pass

    def _loaded(self, record: Record, event: PolicyLoaded) -> None:
        """Compare with what was in force in this workspace before: another one has other project rules."""
        workspace = self._workspaces.get(event.session, "")
        now = {(file.layer, file.path): file for file in event.files}
        before = self._files.get(workspace)
        self._files[workspace] = now
        _bound(self._files)
        if before is None:
            return
        for key in sorted({*before, *now}):
            old, new = before.get(key), now.get(key)
            if old != new:
                self._row(record, event.session, "rules", f"{key[1]} ({key[0]})", _state(old), _state(new))

    def _decided(self, record: Record, event: Decided) -> None:
        text = "\0".join((event.tool, event.cwd, event.subject))
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        now = event.verdict.decision
        before = self._verdicts.pop(key, None)
        self._verdicts[key] = (now, record.seq)
        _bound(self._verdicts)
        if before is not None and before[0] is not now:
            was = f"{before[0].word} (record {before[1]})"
            self._row(record, event.session, "verdict", event.subject, was, now.word)

    def _row(self, record: Record, session: str, *cells: Cell) -> None:
        if len(self._rows) < MOST_ROWS:
            self._rows.append((record.seq, record.time, session, *cells))
        else:
            self._more += 1

    def answer(self) -> Report:
        notes = [f"{len(self._rows) + self._more} changes"]
        if self._more:
            notes.append(f"{self._more} changes are not listed: name a shorter period")
        notes.append(f"calls are compared with the {MOST_KEYS} different ones before them")
        return Report(
            title="What changed",
            columns=("record", "time", "session", "change of", "what", "before", "after"),
            rows=tuple(self._rows),
            notes=tuple(notes),
        )


def _bound(table: OrderedDict[Any, Any]) -> None:
    if len(table) > MOST_KEYS:
        table.popitem(last=False)


def _state(file: PolicyFile | None) -> str:
    if file is None:
        return "not in force"
    return file.digest if file.usable else f"{file.digest}, broken: its allows do not count"
