"""Talks to MCP servers. The only importer of `mcp`.

A server is a program that nobody here wrote: what it sends is bounded in size and time, what it says about
itself is believed in nothing that matters, and whatever it does ends a call, never the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agent.config.servers import McpServer
from agent.process.pipes import let_go
from agent.protocol.items import JsonObject

if TYPE_CHECKING:
    from mcp import ClientSession

MOST_LINE = 8 << 20  # bytes of one message
MOST_UNASKED = 2_000  # messages in a row that answer nothing
MOST_TOOLS = 200
MOST_SCHEMA = 50_000  # characters of one tool's schema
MOST_ENTRIES = 1_000  # of a list of resources
MOST_STARTS = 5  # of one server in a session
_GRACE = 1.0
_DRAIN = 0.2


class McpFailed(Exception):
    """The server did not do what it was asked; the text is for the model and the user."""


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool, as the server describes it."""

    name: str
    description: str
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class McpReply:
    text: str
    images: tuple[str, ...] = ()  # data URLs
    failed: bool = False
    note: str = ""  # what became of the server on the way
    content: tuple[JsonObject, ...] = ()  # the answer as it came, for who looks on
    structured: JsonObject | None = None


class McpConnection:
    """One server: started or reached in a task of its own, until `close`."""

    def __init__(self, server: McpServer, environment: Callable[[], Mapping[str, str]], cwd: str) -> None:
        """`environment` is what a child may see; `server` says what it gets beside it."""
        self.server = server
        self.tools: tuple[McpTool, ...] = ()
        self.has_resources = False
        self._environment = environment
        self._folder = os.path.join(cwd, os.path.expanduser(server.cwd))
        self._session: ClientSession | None = None
        self._ended: str | None = None
        self._opened = asyncio.Event()
        self._end = asyncio.Event()
        self._starts = 0
        self._closed = False
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=5)

    async def open(self) -> str:
        """Connect and list the tools. Empty, or why it cannot be used."""
        self._starts += 1
        self._ended = None
        self._end = asyncio.Event()
        self._opened = asyncio.Event()
        self._task = asyncio.create_task(self._live(self._opened))
        waiting = asyncio.create_task(self._opened.wait())
        await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return self._ended or ""

    async def close(self) -> None:
        """End it, and everything that it started."""
        self._closed = True
        self._end.set()
        if self._task is not None:
            if not self._opened.is_set():  # it is still starting, and would not look whether it is wanted
                self._task.cancel()
            done, _ = await asyncio.wait({self._task}, timeout=3 * _GRACE)
            if not done:
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=3 * _GRACE)

    async def call(self, tool: str, arguments: JsonObject, traceparent: str | None = None) -> McpReply:
        """The answer of one tool. Raises `McpFailed`. `traceparent` tells the server whose trace it belongs to."""
        from mcp import types

        given: JsonObject = {"name": tool, "arguments": arguments}
        if traceparent:
            given["_meta"] = {"traceparent": traceparent}
        params = types.CallToolRequestParams.model_validate(given)
        # Not `call_tool`: it would match the answer with patterns of the server's own choice, without a bound.
        note = await self._there()
        result = await self._asked(types.CallToolRequest(params=params), types.CallToolResult)
        return replace(_reply(result), note=note)

    async def resources(self, *, templates: bool) -> list[JsonObject]:
        """What the server has to read. Raises `McpFailed`."""
        from mcp import types

        await self._there()
        if templates:
            listed = await self._asked(
                types.ListResourceTemplatesRequest(), types.ListResourceTemplatesResult
            )
            return [_brief(one) for one in listed.resource_templates[:MOST_ENTRIES]]
        found = await self._asked(types.ListResourcesRequest(), types.ListResourcesResult)
        return [_brief(one) for one in found.resources[:MOST_ENTRIES]]

    async def read(self, uri: str) -> McpReply:
        """One resource. Raises `McpFailed`."""
        from mcp import types

        await self._there()
        request = types.ReadResourceRequest(params=types.ReadResourceRequestParams(uri=uri))
        result = await self._asked(request, types.ReadResourceResult)
        texts = [
            getattr(one, "text", None) or f"[{one.mime_type or 'binary'} data]" for one in result.contents
        ]
        return McpReply("\n".join(texts))

    async def _there(self) -> str:
        """A server that has ended is started again, once for a call and not for ever; what is then to be told.

        The call that it ended in is not repeated: it may have done its work.
        """
        async with self._starting:
            if self._session is not None or self._closed or self._task is None:
                return ""
            name, why = self.server.name, self._ended
            if self._starts >= MOST_STARTS:
                raise McpFailed(
                    f"the MCP server `{name}` is not there: {why}. It was started {MOST_STARTS} times and is left alone"
                )
            if trouble := await self.open():
                raise McpFailed(
                    f"the MCP server `{name}` had ended ({why}) and does not start again: {trouble}"
                )
            return (
                f"the MCP server `{name}` had ended ({why}) and was started again; what it knew may be lost"
            )

    async def _asked(self, request: Any, kind: Any) -> Any:
        session, name = self._session, self.server.name
        if session is None or self._task is None:
            raise McpFailed(f"the MCP server `{name}` is not there: {self._ended or 'it was never started'}")
        asking = asyncio.create_task(session.send_request(request, kind))
        try:
            await asyncio.wait(
                {asking, self._task}, timeout=self.server.tool_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if asking.done():
                return asking.result()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # an answer of a foreign program may fail in any way
            if not self._end.is_set():
                raise McpFailed(f"the MCP server `{name}` answered with an error: {_words(error)}") from error
            await asyncio.wait({self._task}, timeout=3 * _GRACE)
        finally:
            asking.cancel()
        if self._end.is_set():
            await asyncio.wait({self._task}, timeout=3 * _GRACE)
            raise McpFailed(f"the MCP server `{name}` ended: {self._ended}")
        raise McpFailed(f"the MCP server `{name}` did not answer within {self.server.tool_seconds:g} s")

    async def _live(self, opened: asyncio.Event) -> None:
        late = f"it was not ready within {self.server.startup_seconds:g} s"
        gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(self.server.startup_seconds):
                    await asyncio.to_thread(_load)
                    await self._connect(stack, gone)
                    opened.set()
                gone.add_done_callback(lambda _: self._end.set())
                await self._end.wait()
                self._session = None
                self._ended = gone.result() if gone.done() else "it was closed"
        except TimeoutError:
            self._ended = late
        except ImportError:
            self._ended = "MCP support is not installed: install `policy-agent[mcp]`"
        except BaseExceptionGroup as errors:
            cause = _first(errors)
            self._ended = late if isinstance(cause, TimeoutError) else _words(cause)
        except Exception as error:  # noqa: BLE001 - a task ends here; what a foreign program does is no fault of ours
            self._ended = _words(error)
        finally:
            self._session = None
            if gone.done() and gone.result() != "it was closed" and self._ended != late:
                self._ended = gone.result()
            if self._ended and self._said:
                self._ended += f" (it said: {' | '.join(self._said)})"
            opened.set()

    async def _connect(self, stack: contextlib.AsyncExitStack, gone: asyncio.Future[str]) -> None:
        """Open the session and list what it has. `gone` is told why the server is gone, once it is."""
        from mcp import ClientSession

        reader, writer = await stack.enter_async_context(
            _reached(self.server) if self.server.url else self._started(gone)
        )
        session = await stack.enter_async_context(ClientSession(reader, writer))
        about = await session.initialize()
        self.has_resources = about.capabilities.resources is not None
        tools: list[McpTool] = []
        cursor: str | None = None
        while about.capabilities.tools is not None and len(tools) < MOST_TOOLS:
            from mcp import types

            params = types.PaginatedRequestParams(cursor=cursor) if cursor else None
            listed = await session.list_tools(params=params)
            tools += [_tool(one) for one in listed.tools]
            if not listed.next_cursor or listed.next_cursor == cursor:
                break
            cursor = listed.next_cursor
        self.tools = tuple(one for one in tools[:MOST_TOOLS] if self._offered(one))
        self._session = session

    def _offered(self, tool: McpTool) -> bool:
        server = self.server
        # A name is shown to who says yes, and written into rules: one with a line break could pass for a verdict.
        named = tool.name.isprintable() and (server.only is None or tool.name in server.only)
        return named and tool.name not in server.never and len(json.dumps(tool.schema)) <= MOST_SCHEMA

    async def _read_lines(self, stdout: asyncio.StreamReader, send: Callable[[Any], Awaitable[None]]) -> str:
        """Pass its messages on until it ends, or goes too far. Why it is over."""
        from mcp import types
        from mcp.shared.message import SessionMessage

        unasked = 0
        while True:
            try:
                line = await stdout.readline()
            except ValueError:
                return f"it sent a line of more than {MOST_LINE} bytes"
            if not line:
                return "it ended"
            try:
                message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except (ValueError, RecursionError):
                return "it sent what is no message"
            answers = isinstance(message, types.JSONRPCResponse | types.JSONRPCError)
            unasked = 0 if answers else unasked + 1
            if unasked > MOST_UNASKED:
                return f"it sent more than {MOST_UNASKED} messages that answer nothing"
            await send(SessionMessage(message))

    @contextlib.asynccontextmanager
    async def _started(self, gone: asyncio.Future[str]) -> AsyncIterator[Any]:
        """The program, in a group of its own; its lines become messages, within bounds."""
        import anyio
        from mcp.shared.message import SessionMessage

        server = self.server
        env = {**self._environment(), **{n: os.environ[n] for n in server.env_vars if n in os.environ}}
        process = await asyncio.create_subprocess_exec(
            server.command,
            *server.args,
            cwd=self._folder,
            env=env | dict(server.env),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=MOST_LINE,
        )
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        into, reader = anyio.create_memory_object_stream[Any](0)
        writer, out = anyio.create_memory_object_stream[SessionMessage](0)

        async def read() -> None:
            why = "it ended"
            async with into:
                try:
                    why = await self._read_lines(stdout, into.send)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    why = "it was closed"
                finally:
                    if not gone.done():
                        gone.set_result(why)

        async def write() -> None:
            async with out:
                with contextlib.suppress(OSError):
                    async for message in out:
                        text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                        stdin.write(text.encode() + b"\n")
                        await stdin.drain()

        async def listen() -> None:
            with contextlib.suppress(ValueError):
                while line := await stderr.readline():
                    self._said.append(line[:200].decode(errors="replace").strip())

        tasks = [asyncio.create_task(work()) for work in (read, write, listen)]
        try:
            yield reader, writer
        finally:
            reader.close()
            writer.close()
            stdin.close()
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_GRACE):
                        await process.wait()
            finally:  # also where the wait is given up: nothing of it stays
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                try:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_GRACE):
                            await process.wait()
                    await asyncio.wait(tasks, timeout=_DRAIN)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks, timeout=_GRACE)
                    let_go(process)


@contextlib.asynccontextmanager
async def _reached(server: McpServer) -> AsyncIterator[Any]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared._httpx_utils import create_mcp_http_client

    headers = dict(server.headers)
    headers |= {name: os.environ[var] for name, var in server.header_vars if var in os.environ}
    if server.token_var:
        if server.token_var not in os.environ:
            raise McpFailed(f"the variable {server.token_var}, which holds its token, is not set")
        headers["Authorization"] = f"Bearer {os.environ[server.token_var]}"
    timeout = httpx2.Timeout(server.tool_seconds, connect=server.startup_seconds)
    async with (
        create_mcp_http_client(headers=headers, timeout=timeout) as client,
        streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield streams[0], streams[1]


def _load() -> None:
    """The package takes more than a second to import: in a thread."""
    import mcp
    import mcp.client.streamable_http

    for name in (mcp.__name__, "client", "anyio", "httpx2"):
        # What it says is about a program of somebody else; `_ended` tells what the user has to know.
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False


def _tool(tool: Any) -> McpTool:
    schema = tool.input_schema if isinstance(tool.input_schema, dict) else {}
    return McpTool(tool.name, (tool.description or tool.title or "")[:2000], {"type": "object", **schema})


def _brief(entry: Any) -> JsonObject:
    about = entry.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        name: str(about[name])[:500] for name in ("uri", "uriTemplate", "name", "mimeType") if name in about
    }


def _reply(result: Any) -> McpReply:
    images = [
        f"data:{one.mime_type};base64,{one.data}"
        for one in result.content
        if one.type == "image" and one.mime_type in ("image/png", "image/jpeg", "image/gif", "image/webp")
    ]
    if result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    else:
        text = "\n".join(_part(one) for one in result.content)
    whole = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    structured = whole.get("structuredContent")
    return McpReply(
        text,
        tuple(images[:5]),
        bool(result.is_error),
        content=tuple(whole.get("content", ())),
        structured=structured if isinstance(structured, dict) else None,
    )


def _part(part: Any) -> str:
    match part.type:
        case "text":
            return str(part.text)
        case "resource":
            return str(getattr(part.resource, "text", f"[resource {part.resource.uri}]"))
        case "resource_link":
            return f"[resource {part.uri}]"
        case kind:
            return f"[{kind}]"


def _words(error: BaseException) -> str:
    return " ".join(f"{str(error) or type(error).__name__}".split())[:500]


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    inner: BaseException = errors
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
