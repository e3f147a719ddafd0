"""The one interface between a frontend and a thread, local or remote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from agent.protocol.events import Event
from agent.protocol.ops import Op


class Conversation(Protocol):
    """Ops go in, events come out. One reader of `events` at a time."""

    @property
    def thread_id(self) -> str: ...

    async def submit(self, op: Op) -> None:
        """Hand over one op. Returns when it is accepted, not when it is done."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Everything from now on; ends after `Closed`."""
        ...
