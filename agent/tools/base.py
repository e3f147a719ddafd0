"""What a tool is: a schema for the model, and a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.protocol.events import Event
from agent.protocol.items import JsonObject
from execpolicy.decision import Verdict


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of the model. `payload` is JSON text of a function call, or the text of a custom call."""

    id: str
    name: str
    payload: str
    custom: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told, and whether the turn must end."""

    output: str
    stop: bool = False


Emit = Callable[[Event], None]


class Tool(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def schema(self) -> JsonObject:
        """The entry of the request's `tools`."""
        ...


__all__ = ["Emit", "Tool", "ToolCall", "ToolResult", "Verdict"]
