"""Helpers of the model: started with a task, waited for, ended.

INVARIANT: a helper has what its starter has, never more: the same policy, the same sandbox, the same record and
the same person to ask. It cannot start helpers of its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import count

import msgspec

from agent.protocol.events import Event, Refusal, Status, ToolEnded, ToolStarted
from agent.protocol.items import Json, JsonObject
from agent.tools.arguments import read_arguments
from agent.tools.base import BadCall, Emit, Grant, Prepared, Ran, Tool, ToolCall, UseTool
from agent.tools.bounds import bounded
from agent.tools.frame import shorten
from execpolicy.values import field, frozen, slotted

SPAWN, WAIT, CLOSE = "spawn_agent", "wait_agent", "close_agent"
NAMES = (SPAWN, WAIT, CLOSE)
MOST_AT_ONCE = 4
MOST_IN_ALL = 32
MOST_MESSAGE = 100_000

# The work of one helper: its name and its task in, how it ended and what it said out.
Work = Callable[[str, str], Awaitable[tuple[str, str]]]


@slotted
class _Helper:
    name: str
    message: str
    task: asyncio.Task[tuple[str, str]]

    def stop(self) -> None:
        if not self.task.cancelling():  # once more would cut short how it ends what it runs
            self.task.cancel()

    @property
    def state(self) -> tuple[str, str]:
        """How it is (running, completed, failed, closed), and what it said."""
        if not self.task.done():
            return "running", ""
        if self.task.cancelled():
            return "closed", ""
        error = self.task.exception()
        return ("failed", f"{type(error).__name__}: {error}") if error else self.task.result()


@slotted
class Helpers:
    """Those of one thread."""

    work: Work
    _known: dict[str, _Helper] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def flaw(self) -> str:
        """Why no further one can be started."""
        if len(self._known) >= MOST_IN_ALL:
            return f"{MOST_IN_ALL} agents were started, which is as many as a session may have"
        if sum(not one.task.done() for one in self._known.values()) >= MOST_AT_ONCE:
            return f"{MOST_AT_ONCE} agents are at work; wait for one or close it"
        return ""

    def start(self, message: str) -> str:
        name = f"agent-{next(self._numbers)}"
        self._known[name] = _Helper(name, message, asyncio.ensure_future(self._run(name, message)))
        return name

    async def _run(self, name: str, message: str) -> tuple[str, str]:
        return await self.work(name, message)

    def find(self, names: Iterable[str]) -> list[_Helper]:
        return [self._known[name] for name in names if name in self._known]

    def described(self) -> str:
        """All of them, for a model that has forgotten what it started."""
        lines = [
            f"- {one.name} ({one.state[0]}): {' '.join(one.message[:200].split())}"
            for one in self._known.values()
        ]
        return f"Agents that you started ({WAIT} tells what they say):\n" + "\n".join(lines) if lines else ""

    def stop(self) -> None:
        """Begin to end them all."""
        for one in self._known.values():
            one.stop()

    async def close(self) -> None:
        """End them all, with everything that they run."""
        self.stop()
        if tasks := [one.task for one in self._known.values()]:
            await asyncio.wait(tasks)

    def tools(self, cwd: str, tokens: int) -> tuple[Tool, ...]:
        return tuple(_AgentTool(name, self, cwd, tokens) for name in NAMES)


class _Spawn(msgspec.Struct, frozen=True):
    message: str


class _Wait(msgspec.Struct, frozen=True):
    targets: list[str]
    timeout_ms: float | None = None


class _Close(msgspec.Struct, frozen=True):
    target: str


_TEXT: JsonObject = {"type": "string"}
_SCHEMAS: dict[str, tuple[str, JsonObject, list[Json]]] = {
    SPAWN: (
        "Starts an agent on a task of its own, beside you. It knows only the message, works in the same folder "
        "under the same policy, and answers once. Give it what it needs, and say what you want back.",
        {"message": {"type": "string", "description": "The whole task."}},
        ["message"],
    ),
    WAIT: (
        "Waits until one of the agents has ended, and says how each one is.",
        {
            "targets": {"type": "array", "items": _TEXT},
            "timeout_ms": {"type": "number", "description": "Default 30000, at most 3600000."},
        },
        ["targets"],
    ),
    CLOSE: ("Ends an agent and whatever it runs.", {"target": _TEXT}, ["target"]),
}


class _AgentTool:
    exclusive = False

    def __init__(self, name: str, helpers: Helpers, cwd: str, tokens: int) -> None:
        self.name = name
        self._helpers = helpers
        self._cwd = cwd
        self._tokens = tokens

    @property
    def schema(self) -> JsonObject:
        about, properties, required = _SCHEMAS[self.name]
        parameters: JsonObject = {"type": "object", "properties": properties, "required": required}
        parameters["additionalProperties"] = False
        head: JsonObject = {"type": "function", "name": self.name, "description": about, "strict": False}
        return head | {"parameters": parameters}

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        wanted: _Spawn | _Wait | _Close | BadCall
        match self.name:
            case "spawn_agent":
                wanted = read_arguments(call, _Spawn)
            case "wait_agent":
                wanted = read_arguments(call, _Wait)
            case _:
                wanted = read_arguments(call, _Close)
        if isinstance(wanted, BadCall):
            return wanted
        seconds = 0.0
        if isinstance(wanted, _Spawn):
            if not 0 < len(wanted.message) <= MOST_MESSAGE:
                return BadCall(f"{SPAWN} failed: a message has 1 to {MOST_MESSAGE} characters")
        else:
            names = wanted.targets if isinstance(wanted, _Wait) else [wanted.target]
            unknown = [name for name in names if not self._helpers.find([name])]
            if unknown or not names:
                return BadCall(f"{self.name} failed: no agent `{(unknown or [''])[0][:100]}`")
        if isinstance(wanted, _Wait):
            numbers = bounded(WAIT, timeout_ms=(wanted.timeout_ms, 30_000, 250, 3_600_000))
            if isinstance(numbers, BadCall):
                return numbers
            seconds = numbers["timeout_ms"] / 1000
        return _PreparedAgent(call, self.name, self._helpers, self._cwd, wanted, seconds, self._tokens)


@frozen
class _PreparedAgent:
    call: ToolCall
    tool: str
    helpers: Helpers
    cwd: str
    wanted: _Spawn | _Wait | _Close
    seconds: float
    tokens: int

    @property
    def request(self) -> UseTool:
        wanted = self.wanted
        arguments: JsonObject
        match wanted:
            case _Spawn(message):
                said, arguments = message, {"message": message}
            case _Wait(targets):
                said, arguments = ", ".join(targets), {"targets": list(targets)}
            case _Close(target):
                said, arguments = target, {"target": target}
        return UseTool(subject=f"{self.tool}: {said}", cwd=self.cwd, arguments=arguments)

    def check(self) -> str:
        flaw = self.helpers.flaw if isinstance(self.wanted, _Spawn) else ""
        return f"{self.tool} failed: {flaw}" if flaw else ""

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        started = time.monotonic()
        request = self.request
        emit(ToolStarted(self.call.id, self.tool, "", request.arguments, request.subject))
        try:
            output = await self._work()
        except asyncio.CancelledError:
            return self._ran("aborted by user", Status.INTERRUPTED, started)
        return self._ran(json.dumps(output, ensure_ascii=False), Status.COMPLETED, started)

    async def _work(self) -> JsonObject:
        match self.wanted:
            case _Spawn(message):
                if flaw := self.helpers.flaw:  # somebody may have been asked meanwhile
                    return {"error": flaw}
                return {"agent_id": self.helpers.start(message)}
            case _Wait(targets):
                found = self.helpers.find(targets)
                done, _ = await asyncio.wait(
                    {one.task for one in found}, timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED
                )
                return {"status": self._states(found), "timed_out": not done}
            case _Close(target):
                found = self.helpers.find([target])
                before = self._states(found)
                for one in found:
                    one.stop()
                    await asyncio.wait({one.task})
                return {"status": before}

    def _states(self, found: list[_Helper]) -> JsonObject:
        return {one.name: {one.state[0]: shorten(one.state[1], self.tokens)} for one in found}

    def _ran(self, output: str, status: Status, started: float) -> Ran:
        seconds = time.monotonic() - started
        return Ran(output=output, event=self._event(status, output, seconds), status=status, seconds=seconds)

    def _event(self, status: Status, message: str, seconds: float = 0.0, why: Refusal | None = None) -> Event:
        request = self.request
        return ToolEnded(
            self.call.id,
            self.tool,
            status,
            arguments=request.arguments,
            subject=request.subject,
            message=message,
            seconds=seconds,
            refusal=why,
        )

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return self._event(status, message, why=refusal)
