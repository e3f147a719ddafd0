"""What a tool is: a schema for the model, a reading of a call, and a run of what was read.

A call is first *read* into a `Prepared` one, which says what it would do (a `Request`) and does nothing.
The gate judges the request; only the dispatcher calls `run`, and only with a `Grant`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Protocol

from agent.protocol.approvals import NETWORK
from agent.protocol.events import Event, Refusal, Status
from agent.protocol.items import JsonObject
from agent.sandbox.base import Sandbox
from agent.sandbox.spec import SandboxSpec
from execpolicy.decision import Verdict
from execpolicy.facts import Access
from execpolicy.values import frozen, replace


@frozen
class ToolCall:
    """One call of the model. `payload` is JSON text of a function call, or the text of a custom call."""

    id: str
    name: str
    payload: str
    custom: bool = False
    cwd: str = ""  # where it is meant to happen; empty: the session's folder

    def instead(self, name: str, payload: str, cwd: str) -> ToolCall:
        """The same call, meant for the custom tool `name`."""
        return replace(self, name=name, payload=payload, custom=True, cwd=cwd)


@frozen
class ToolResult:
    """What the model is told, and whether the turn must end."""

    output: str
    stop: bool = False
    content: tuple[JsonObject, ...] = ()  # goes to the model in place of the text


Emit = Callable[[Event], None]

# --- what a call would do ---------------------------------------------------------------------


@frozen(kw_only=True)
class RunScript:
    """A text for bash."""

    script: str
    cwd: str
    reason: str = ""  # what the model says it is for
    before: str = ""  # what the same shell was given before: `script` goes on from there
    escalate: bool = False  # it is to run outside the sandbox
    failed: bool = False  # it ran inside and failed there


@frozen(kw_only=True)
class FeedProgram:
    """Input for a running program that is no shell: only the program knows what it means."""

    program: str  # the command that started it
    text: str
    cwd: str
    reason: str = ""

    @property
    def subject(self) -> str:
        return f"input for `{self.program}`: {self.text!r}"


@frozen(kw_only=True)
class ChangeFiles:
    """Files to be written, deleted or read by this program itself."""

    accesses: tuple[tuple[str, Access], ...]  # absolute paths
    cwd: str
    subject: str  # the patch in short
    diff: str = ""
    reason: str = ""


@frozen(kw_only=True)
class UseTool:
    """A tool of our own that touches nothing outside this program."""

    subject: str
    cwd: str
    arguments: JsonObject
    reason: str = ""


@frozen(kw_only=True)
class CallServer:
    """A tool of an MCP server, which does whatever it does with the power of that server."""

    server: str
    tool: str
    arguments: JsonObject
    cwd: str
    reason: str = ""

    @property
    def subject(self) -> str:
        return f"{self.server}.{self.tool} {json.dumps(self.arguments, ensure_ascii=False)}"


HOST_TOOL = NETWORK  # the name under which a connection of a running command is asked about


def host_of(request: UseTool) -> tuple[str, int | None, str | None]:
    """Host, port and protocol of a connection that is asked about as `HOST_TOOL`."""
    host, port, protocol = (request.arguments.get(name) for name in ("host", "port", "protocol"))
    return (
        str(host),
        port if isinstance(port, int) else None,
        protocol if isinstance(protocol, str) else None,
    )


Request = RunScript | FeedProgram | CallServer | ChangeFiles | UseTool


def subject_of(request: Request) -> str:
    """What would happen, as a person is shown it."""
    return request.script if isinstance(request, RunScript) else request.subject


# --- what came of it --------------------------------------------------------------------------


@frozen
class Grant:
    """The permission to run: by which back end, confined to what."""

    sandbox: Sandbox
    spec: SandboxSpec

    @property
    def words(self) -> str:
        return f"{self.sandbox.name} {self.spec.mode.value}"


@frozen(kw_only=True)
class Ran:
    """The outcome of a run: what the model is told, what the record holds, what frontends see."""

    output: str
    content: tuple[JsonObject, ...] = ()  # goes to the model in place of `output`
    event: Event
    status: Status
    exit_code: int | None = None
    signal: int | None = None
    seconds: float = 0.0
    output_bytes: int = 0
    output_sha256: str = ""
    timed_out: bool = False
    confined: bool = False  # the sandbox took part
    later: Awaitable[Ran] | None = None  # it still runs: what comes of it in the end, for the record


@frozen
class BadCall:
    """A call that cannot be read, with a text that helps the model to do better."""

    message: str


class Prepared(Protocol):
    """A call that was read. Nothing has happened yet."""

    @property
    def request(self) -> Request: ...

    def check(self) -> str:
        """Look closer, once it is judged: why it cannot work, for the model; empty where nothing is known."""
        ...

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        """Do it. On cancellation nothing of it goes on running, and a `Ran` says how far it came."""
        ...

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        """The event for frontends when it did not run."""
        ...


class Tool(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def schema(self) -> JsonObject:
        """The entry of the request's `tools`."""
        ...

    @property
    def exclusive(self) -> bool:
        """Its calls run alone, in call order; others run side by side."""
        ...

    def instead(self, call: ToolCall) -> ToolCall | None:
        """The call of another tool that this one really is, if so."""
        ...

    def read(self, call: ToolCall) -> Prepared | BadCall:
        """What the call would do. Reads files at most, and never raises for what the model wrote."""
        ...


__all__ = [
    "HOST_TOOL",
    "BadCall",
    "CallServer",
    "ChangeFiles",
    "Emit",
    "FeedProgram",
    "Grant",
    "Prepared",
    "Ran",
    "Request",
    "RunScript",
    "Tool",
    "ToolCall",
    "ToolResult",
    "UseTool",
    "host_of",
    "Verdict",
    "subject_of",
]
