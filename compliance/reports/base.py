"""What a report is: tables with notes, folded from records one by one."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from compliance.reading import Seen, Spoiled

MOST_KEYS: Final = 20_000  # different things that one report keeps apart; memory stays bounded
MOST_ROWS: Final = 10_000  # single events that one table lists
OTHERS: Final = "(others)"
SILENCE: Final = "(no rule)"

Cell = str | int
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Tables that answer one question, and what must be known to read them rightly."""

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


class Question(Protocol):
    """Eats the records of logs in order, then answers."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The events that it looks at, by the words of the record, and need be fed. Empty: all."""
        ...

    def feed(self, seen: Seen) -> None: ...

    def spoil(self, spoiled: Spoiled) -> None:
        """A line that should have been a record and is none."""
        ...

    def answer(self) -> Report: ...


@dataclass(slots=True)
class Rows:
    """Rows up to a bound, and how many came after."""

    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    more: int = 0

    def add(self, *cells: Cell) -> None:
        if len(self.rows) < MOST_ROWS:
            self.rows.append(cells)
        else:
            self.more += 1

    @property
    def total(self) -> int:
        return len(self.rows) + self.more

    def note(self, what: str) -> tuple[str, ...]:
        return (f"{self.more} {what} are not listed: name a shorter period",) if self.more else ()


class Recent(OrderedDict[K, V], Generic[K, V]):
    """The last so many things by key; the oldest falls out, and is handed back."""

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        self[key] = value
        self.move_to_end(key)
        return self.popitem(last=False) if len(self) > MOST_KEYS else None


def tally(counts: Counter[K], key: K, others: K) -> None:
    """Count `key`, or `others` when there are too many different ones."""
    counts[key if key in counts or len(counts) < MOST_KEYS else others] += 1
