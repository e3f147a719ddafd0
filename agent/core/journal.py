"""Where a thread writes down what happened, before it acts on it. Core knows no database."""

from __future__ import annotations

from typing import Protocol

from agent.protocol.items import JsonObject

ITEM = "item"  # one item of the conversation: said, received, or the output of a call
COMPACTED = "compacted"  # `items` stand in place of everything before
USAGE = "usage"  # the end of one response: the tokens of the thread so far
TURN = "turn"  # for readers: how a turn began and ended


class Journal(Protocol):
    def write(self, kind: str, payload: JsonObject) -> None:
        """Keep one entry; it is safe when this returns. Raises `SessionError` when it cannot be kept."""
        ...


class NoJournal:
    """For sessions that are not to be stored."""

    def write(self, kind: str, payload: JsonObject) -> None:
        """Nothing is kept."""
