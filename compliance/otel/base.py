"""A wire: one way to hand an encoded request to somebody, and what came of it."""

from __future__ import annotations

import enum
from typing import NamedTuple, Protocol

from compliance.otel.settings import Signal

MOST_ANSWER = 64 * 1024  # bytes of an answer that are looked at


class Encoding(enum.Enum):
    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class Fate(enum.Enum):
    """What became of a request."""

    TAKEN = "taken"
    LATER = "later"  # the very same request may be taken later
    UNFIT = "unfit"  # this request is not taken, another one may be
    CLOSED = "closed"  # none is taken: the address, the key or the answer is not that of a collector


class Answer(NamedTuple):
    fate: Fate
    why: str = ""  # one line; empty when all is well
    rejected: int = 0  # of a request that was taken: what the collector says that it threw away
    seconds: float | None = None  # of LATER: how long it asks to wait


class Wire(Protocol):
    """Sends from one thread at a time. `send` never raises, and ends within the time it was made for."""

    encoding: Encoding

    def send(self, signal: Signal, body: bytes) -> Answer: ...

    def close(self) -> None:
        """Let go of what is open; a `send` in another thread ends soon."""
        ...
