"""What a report is: a table with notes, folded from records one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from compliance.chain import Record
from compliance.events import AuditEvent

MOST_KEYS: Final = 20_000  # different things that one report keeps apart; memory stays bounded
OTHERS: Final = "(others)"
SILENCE: Final = "(no rule)"

Cell = str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A table that answers one question, and what must be known to read it rightly."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


class Question(Protocol):
    """Eats the records of a log in order, then answers."""

    def feed(self, record: Record, event: AuditEvent) -> None: ...

    def answer(self) -> Report: ...
