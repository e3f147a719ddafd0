"""Tools of MCP servers as tools of ours: named `mcp__SERVER__TOOL`, judged by name and arguments, recorded."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from agent.protocol.events import Event, Refusal, Status, ToolEnded, ToolStarted
from agent.protocol.items import JsonObject
from agent.tools.arguments import read_arguments
from agent.tools.base import BadCall, CallServer, Emit, Grant, Prepared, Ran, Tool, ToolCall
from agent.tools.frame import shorten
from agent.tools.mcp import McpConnection, McpFailed, McpReply, McpTool
from execpolicy.values import replace

_MOST_NAME = 64
_MOST_IMAGE = 6 << 20
_MOST_SHOWN = 1 << 20  # characters of an answer that is shown part by part
MOST_OFFERED = 200_000  # characters of all tools together: they go to the model with each request

Trace = Callable[[str], str | None]  # of a call: its W3C context


class ServedTool:
    """One tool of one server."""

    exclusive = False

    def __init__(
        self,
        connection: McpConnection,
        tool: McpTool,
        name: str,
        cwd: str,
        tokens: int,
        trace: Trace = lambda call_id: None,
    ) -> None:
        """`trace` gives the W3C context of a call, which goes with it."""
        self.name = name
        self._trace = trace
        self._connection = connection
        self._tool = tool
        self._cwd = cwd
        self._tokens = tokens

    @property
    def schema(self) -> JsonObject:
        return {
            "type": "function",
            "name": self.name,
            "description": self._tool.description,
            "strict": False,
            "parameters": self._tool.schema,
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        arguments = read_arguments(call, dict)
        if isinstance(arguments, BadCall):
            return arguments
        connection, tool = self._connection, self._tool.name
        return _PreparedServed(
            call,
            connection.server.name,
            tool,
            self._cwd,
            arguments,
            self._tokens,
            lambda: connection.call(tool, arguments, self._trace(call.id)),
        )


class _Listing(msgspec.Struct, frozen=True):
    server: str


class _Reading(msgspec.Struct, frozen=True):
    server: str
    uri: str


class ResourceTool:
    """What servers have to read: its list, the list of its templates, and one of them."""

    exclusive = False

    def __init__(
        self,
        name: Literal["list_mcp_resources", "list_mcp_resource_templates", "read_mcp_resource"],
        connections: Iterable[McpConnection],
        cwd: str,
        tokens: int,
    ) -> None:
        self.name = name
        self._connections = {one.server.name: one for one in connections}
        self._cwd = cwd
        self._tokens = tokens
        self._reads = name == "read_mcp_resource"

    @property
    def schema(self) -> JsonObject:
        server: JsonObject = {"type": "string", "description": f"One of: {', '.join(self._connections)}."}
        properties: JsonObject = {"server": server}
        if self._reads:
            properties["uri"] = {"type": "string", "description": "As a list named it."}
        what = (
            "Reads a resource"
            if self._reads
            else f"Lists what there is ({self.name.removeprefix('list_mcp_')})"
        )
        return {
            "type": "function",
            "name": self.name,
            "description": f"{what} of an MCP server.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        wanted = read_arguments(call, _Reading) if self._reads else read_arguments(call, _Listing)
        if isinstance(wanted, BadCall):
            return wanted
        connection = self._connections.get(wanted.server)
        if connection is None:
            return BadCall(f"{self.name} failed: no server `{wanted.server[:100]}` with resources")
        uri = wanted.uri if isinstance(wanted, _Reading) else ""
        templates = self.name == "list_mcp_resource_templates"

        async def run() -> McpReply:
            if uri:
                return await connection.read(uri)
            return McpReply(json.dumps(await connection.resources(templates=templates), ensure_ascii=False))

        arguments: JsonObject = {"uri": uri} if self._reads else {}
        return _PreparedServed(call, wanted.server, self.name, self._cwd, arguments, self._tokens, run)


@dataclass(frozen=True, slots=True)
class _PreparedServed:
    call: ToolCall
    server: str
    tool: str
    cwd: str
    arguments: JsonObject
    tokens: int
    work: Callable[[], Awaitable[McpReply]]

    @property
    def request(self) -> CallServer:
        return CallServer(server=self.server, tool=self.tool, arguments=self.arguments, cwd=self.cwd)

    def check(self) -> str:
        return ""

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        emit(ToolStarted(self.call.id, self.tool, self.server, self.arguments, self.request.subject))
        started = time.monotonic()
        try:
            reply = await self.work()
        except McpFailed as error:
            reply = McpReply(str(error), failed=True)
        except asyncio.CancelledError:
            return self._ran(McpReply("aborted by user", failed=True), Status.INTERRUPTED, started)
        return self._ran(reply, Status.FAILED if reply.failed else Status.COMPLETED, started)

    def _ran(self, reply: McpReply, status: Status, started: float) -> Ran:
        seconds = time.monotonic() - started
        text = shorten(reply.text, self.tokens) + (f"\n[{reply.note}]" if reply.note else "")
        output = f"Wall time: {seconds:.4f} seconds\nOutput:\n{text}"
        images = [url for url in reply.images if len(url) <= _MOST_IMAGE]
        shown: list[JsonObject] = [
            {"type": "input_image", "image_url": url, "detail": "high"} for url in images
        ]
        return Ran(
            output=output,
            content=({"type": "input_text", "text": output}, *shown) if shown else (),
            event=replace(self._event(status, text, seconds), **_parts(reply)),
            status=status,
            seconds=seconds,
            output_bytes=len(reply.text.encode(errors="replace")),
        )

    def _event(
        self, status: Status, text: str, seconds: float = 0.0, why: Refusal | None = None
    ) -> ToolEnded:
        return ToolEnded(
            self.call.id,
            self.tool,
            status,
            self.server,
            self.arguments,
            self.request.subject,
            text,
            seconds,
            why,
        )

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return self._event(status, message, why=refusal)


def _parts(reply: McpReply) -> dict[str, Any]:
    """The answer as it came, where it is not too large to be shown."""
    size = len(json.dumps([reply.content, reply.structured]))
    return {"content": reply.content, "structured": reply.structured} if size <= _MOST_SHOWN else {}


class Servers:
    """All servers of a thread: opened side by side when they are first needed, closed with it."""

    def __init__(
        self,
        connections: Iterable[McpConnection],
        cwd: str,
        tokens: int,
        trace: Trace = lambda call_id: None,
    ) -> None:
        self._connections = tuple(connections)
        self._trace = trace
        self._cwd = cwd
        self._tokens = tokens
        self._opening: asyncio.Future[tuple[list[Tool], list[str]]] | None = None
        self._ready = False

    async def ready(self, add: Callable[[list[Tool]], None], tell: Callable[[str], None]) -> None:
        """Wait until they are open, then hand over what they offer. Only the first time there is something to do.

        Who waits may give up; the servers go on starting, and the next one waits for the rest of it.
        """
        if self._ready:
            return
        if self._opening is None:
            self._opening = asyncio.ensure_future(self.open())
        tools, troubles = await asyncio.shield(self._opening)
        self._ready = True
        add(tools)
        for trouble in troubles:
            tell(trouble)

    async def open(self) -> tuple[list[Tool], list[str]]:
        """The tools that they offer, and what the user should know."""
        troubles = await asyncio.gather(*(one.open() for one in self._connections))
        tools: dict[str, Tool] = {}
        told: list[str] = []
        room = MOST_OFFERED
        for connection, trouble in zip(self._connections, troubles, strict=True):
            name = connection.server.name
            if trouble:
                told.append(f"the MCP server `{name}` cannot be used: {trouble}")
                continue
            left_out = 0
            for tool in connection.tools:
                called = tool_name(name, tool.name)
                if called in tools:
                    told.append(
                        f"the tool `{tool.name[:100]}` of the MCP server `{name}` was left out: another one has "
                        "its name"
                    )
                    continue
                made = ServedTool(connection, tool, called, self._cwd, self._tokens, self._trace)
                size = len(json.dumps(made.schema))
                if size > room:
                    left_out += 1
                    continue
                room -= size
                tools[called] = made
            if left_out:
                told.append(
                    f"{left_out} of {len(connection.tools)} tools of the MCP server `{name}` were left out: all "
                    f"descriptions together have more than {MOST_OFFERED} characters; choose with `enabled_tools`"
                )
        readable = [one for one in self._connections if one.has_resources]
        found: list[Tool] = list(tools.values())
        if readable:
            found += [
                ResourceTool("list_mcp_resources", readable, self._cwd, self._tokens),
                ResourceTool("list_mcp_resource_templates", readable, self._cwd, self._tokens),
                ResourceTool("read_mcp_resource", readable, self._cwd, self._tokens),
            ]
        return found, told

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self._connections))


def tool_name(server: str, tool: str) -> str:
    """The name that the model calls it by. Two of one name are not both offered."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"mcp__{server}__{tool}")[:_MOST_NAME]
