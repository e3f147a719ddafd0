"""Where events go: the AuditSink protocol, a sink in memory, and one that feeds several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from compliance.events import AuditEvent


class AuditSink(Protocol):
    def record(self, event: AuditEvent) -> int:
        """Record `event` and return its sequence number.

        When this returns the event is written. Raises `compliance.errors.AuditError` when it cannot be:
        then what the event speaks of must not run.
        """
        ...

    def close(self) -> None:
        """Flush what is open. Recording ends here; closing twice does no harm."""
        ...


class MemorySink:
    """Keeps events in `events`, for tests and for a dry run."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.closed = False

    def record(self, event: AuditEvent) -> int:
        self.events.append(event)
        return len(self.events)

    def close(self) -> None:
        self.closed = True


class FanOut:
    """Takes secrets out once, then feeds the first sink and, when that one has it, the others.

    The first sink is the record: its number is returned and its failure is raised. The others hear
    only of what is recorded, and must not raise.
    """

    def __init__(
        self, redact: Callable[[AuditEvent], AuditEvent], record: AuditSink, *others: AuditSink
    ) -> None:
        self._redact = redact
        self._record = record
        self._others = others

    def record(self, event: AuditEvent) -> int:
        clean = self._redact(event)
        seq = self._record.record(clean)
        for sink in self._others:
            sink.record(clean)
        return seq

    def close(self) -> None:
        try:
            self._record.close()
        finally:
            for sink in self._others:
                sink.close()
