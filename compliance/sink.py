"""Where events go: the record, those who watch it, a sink in memory, and one that feeds several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from compliance.events import AuditEvent
from execpolicy.values import frozen


class AuditSink(Protocol):
    def record(self, event: AuditEvent) -> int:
        """Record `event` and return its sequence number.

        When this returns the event is written. Raises `compliance.errors.AuditError` when it cannot be:
        then what the event speaks of must not run. 0: it is not written, and was not required to be.
        """
        ...

    def close(self) -> None:
        """Flush what is open. Recording ends here; closing twice does no harm."""
        ...


class Observer(Protocol):
    """Hears of what is recorded. Never raises, never waits for anybody."""

    def observe(self, seq: int, event: AuditEvent) -> None: ...

    def close(self) -> None: ...


@frozen(kw_only=True)
class ModelCall:
    """One request to the model service, when it is over."""

    session: str
    model: str
    provider: str = "openai"
    seconds: float
    input_tokens: int = 0
    output_tokens: int = 0
    response_id: str = ""
    error: str = ""  # its kind, in one word; empty: it went well
    traceparent: str = ""  # that it went out with


class ModelCallRecorder(Protocol):
    """Hears of requests to the model service. Never raises, never waits for anybody."""

    def requested(self, session: str) -> str:
        """The `traceparent` to send with a request that begins now; empty: none."""
        ...

    def model_called(self, call: ModelCall) -> None: ...


class MemorySink:
    """Keeps events in `events`, for tests and for a dry run. Record or observer."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []
        self.closed = False

    def record(self, event: AuditEvent) -> int:
        self.events.append(event)
        return len(self.events)

    def observe(self, seq: int, event: AuditEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed = True


class FanOut:
    """Takes secrets out once, writes the record, and tells the observers what was written.

    A failure of the record is raised, and then nobody is told.
    """

    def __init__(
        self, redact: Callable[[AuditEvent], AuditEvent], record: AuditSink, *observers: Observer
    ) -> None:
        self._redact = redact
        self._record = record
        self._observers = observers

    def record(self, event: AuditEvent) -> int:
        clean = self._redact(event)
        seq = self._record.record(clean)
        for observer in self._observers:
            observer.observe(seq, clean)
        return seq

    def close(self) -> None:
        try:
            self._record.close()
        finally:
            for observer in self._observers:
                observer.close()
