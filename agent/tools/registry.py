"""Name -> tool, the schemas for the model, and the reading of any call, however wrong it is."""

from __future__ import annotations

from collections.abc import Sequence

from agent.protocol.items import JsonObject
from agent.tools.base import BadCall, Prepared, Tool, ToolCall


class Registry:
    """The tools of one thread."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def add(self, tools: Sequence[Tool]) -> None:
        """Tools that were not known from the start. A name that is taken stays what it was."""
        self._tools = {**{tool.name: tool for tool in tools}, **self._tools}

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(self._tools.values())

    @property
    def schemas(self) -> tuple[JsonObject, ...]:
        return tuple(tool.schema for tool in self._tools.values())

    def settle(self, call: ToolCall) -> ToolCall:
        """The call that `call` really is."""
        tool = self._tools.get(call.name)
        other = None if tool is None else tool.instead(call)
        return call if other is None or other.name not in self._tools else other

    def exclusive(self, call: ToolCall) -> bool:
        """A settled call has to run alone."""
        tool = self._tools.get(call.name)
        return tool is not None and tool.exclusive

    def read(self, call: ToolCall) -> Prepared | BadCall:
        """What a settled call would do."""
        tool = self._tools.get(call.name)
        if tool is None:
            kind = "custom tool call" if call.custom else "call"
            return BadCall(f"unsupported {kind}: {call.name[:100]} (the tools are: {', '.join(self._tools)})")
        return tool.read(call)
