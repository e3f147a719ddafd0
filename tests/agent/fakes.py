"""Real things with a script: a model, a judge, a journal, a person who answers, and a thread made of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from agent.core.context import History
from agent.core.thread import Outbox, Thread
from agent.core.turn import TurnParts
from agent.errors import SandboxUnavailable, SessionError
from agent.llm.client import (
    ItemArrived,
    ModelEvent,
    ModelRequest,
    ResponseDone,
    RetryScheduled,
    TextArrived,
)
from agent.process.environ import child_environment
from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest
from agent.protocol.events import (
    ApprovalAsked,
    Event,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
)
from agent.protocol.items import JsonObject, Usage
from agent.protocol.ops import Close, Reply, StartTurn
from agent.sandbox.base import Sandbox
from agent.sandbox.spec import SandboxSpec
from agent.sandbox.unconfined import Unconfined
from agent.tools.approval import ApprovalDesk
from agent.tools.base import Request, subject_of
from agent.tools.dispatch import Dispatcher
from agent.tools.judgement import Judgement, confined
from agent.tools.plan import PlanTool
from agent.tools.registry import Registry
from agent.tools.running import RunningCommands
from agent.tools.shell import ShellLimits, ShellTool
from agent.tools.stdin import InputTool
from compliance.errors import AuditError
from compliance.events import AuditEvent
from compliance.sink import MemorySink
from execpolicy.decision import Decision, Part, SandboxMode, Verdict

# --- a model ----------------------------------------------------------------------------------

Step = Sequence[ModelEvent | Exception | Callable[[], Any]]
_numbers = count(1)


def says(text: str) -> list[ModelEvent]:
    item: JsonObject = {
        "type": "message",
        "id": f"msg_{next(_numbers)}",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }
    return [TextArrived(text), ItemArrived(item)]


def calls(name: str, call_id: str = "", **arguments: Any) -> list[ModelEvent]:
    return calls_raw(name, json.dumps(arguments), call_id)


def calls_raw(name: str, arguments: str, call_id: str = "") -> list[ModelEvent]:
    number = next(_numbers)
    return [
        ItemArrived(
            {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": call_id or f"call_{number}",
                "name": name,
                "arguments": arguments,
            }
        )
    ]


def calls_custom(name: str, text: str, call_id: str = "") -> list[ModelEvent]:
    number = next(_numbers)
    return [
        ItemArrived(
            {
                "type": "custom_tool_call",
                "id": f"ctc_{number}",
                "call_id": call_id or f"call_{number}",
                "name": name,
                "input": text,
            }
        )
    ]


def runs(cmd: str, call_id: str = "", **more: Any) -> list[ModelEvent]:
    return calls("exec_command", call_id, cmd=cmd, **more)


def done(tokens: int = 10) -> list[ModelEvent]:
    return [ResponseDone(Usage(input_tokens=tokens, output_tokens=1))]


def cut(cause: str = "reset") -> list[ModelEvent]:
    return [RetryScheduled(1, 5, cause, 0.0), ResponseDone(Usage(), complete=False)]


class ScriptedModel:
    """Answers request after request with the next step; `requests` keeps what was asked."""

    def __init__(self, *steps: Step) -> None:
        self._steps = iter(steps)
        self.requests: list[ModelRequest] = []
        self.closed = False

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self.requests.append(request)
        for event in next(self._steps):
            await asyncio.sleep(0)
            if isinstance(event, Exception):
                raise event
            if callable(event):
                await event()
            else:
                yield event

    async def aclose(self) -> None:
        self.closed = True

    def outputs(self, request: int = -1) -> dict[str, str]:
        """call id -> output, as the model saw them in one of its requests."""
        return {
            str(item["call_id"]): str(item["output"])
            for item in self.requests[request].input
            if str(item.get("type", "")).endswith("_output")
        }


# --- a policy, a record, a disk ---------------------------------------------------------------


class FakeJudge:
    """Decides by the first word that stands in the subject; else allows."""

    def __init__(self, mode: SandboxMode = SandboxMode.FULL_ACCESS, **decisions: Decision) -> None:
        self.decisions = decisions
        self.spec = SandboxSpec(mode=mode, workspace="/")
        self.judged: list[Request] = []

    def judge(self, tool: str, request: Request) -> Judgement:
        self.judged.append(request)
        subject = subject_of(request)
        decision = next((d for word, d in self.decisions.items() if word in subject), Decision.ALLOW)
        part = Part(kind="command", text=subject, decision=decision, why=f"the script says {decision.word}")
        verdict = Verdict(decision=decision, parts=(part,))
        return Judgement(verdict, (decision.word,), {"decision": decision.word}, confined(self.spec, verdict))


class FailingSink(MemorySink):
    """Records `good` events, then the disk is full."""

    def __init__(self, good: int = 0) -> None:
        super().__init__()
        self.good = good

    def record(self, event: AuditEvent) -> int:
        if len(self.events) >= self.good:
            raise AuditError("no space left on device", "free some space")
        return super().record(event)


@dataclass
class MemoryJournal:
    """Keeps entries; fails after `good` of them."""

    good: int = 1_000_000
    entries: list[tuple[str, JsonObject]] = field(default_factory=list)

    def write(self, kind: str, payload: JsonObject) -> None:
        if len(self.entries) >= self.good:
            raise SessionError("the session database cannot be written", "free some space")
        self.entries.append((kind, payload))


def no_sandbox(mode: SandboxMode) -> Sandbox:
    raise SandboxUnavailable("bubblewrap is not installed", "apt install bubblewrap")


# --- a person, and the whole ------------------------------------------------------------------

Person = Callable[[ApprovalRequest], Answer | ApprovalReply | None]


@dataclass
class Rig:
    """A thread with real tools, without a sandbox, and with a script for everything else."""

    model: ScriptedModel
    cwd: Path
    judge: Any = field(default_factory=FakeJudge)
    attended: bool = True
    sink: Any = field(default_factory=MemorySink)
    journal: Any = field(default_factory=MemoryJournal)
    history: History = field(default_factory=History)
    sandboxes: Callable[[SandboxMode], Sandbox] = lambda mode: Unconfined()
    limits: ShellLimits = ShellLimits(seconds=20)
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/bin:/bin"})
    tools: tuple[Any, ...] = ()
    trace: Callable[[str], str | None] = lambda call_id: None
    max_steps: int = 50
    seconds: float = 60.0
    prepare: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.outbox = Outbox()
        self.events: list[Event] = []
        self.desk = ApprovalDesk(self.outbox.emit, attended=self.attended)
        cwd = str(self.cwd)
        self.running = RunningCommands()
        shell = ShellTool(
            bash="/bin/bash",
            cwd=cwd,
            environment=lambda: child_environment(self.env),
            running=self.running,
            limits=self.limits,
            trace=self.trace,
        )
        self.dispatcher = Dispatcher(
            session="thread-1",
            registry=Registry((shell, InputTool(self.running), PlanTool(cwd), *self.tools)),
            gate=self.judge,
            desk=self.desk,
            sink=self.sink,
            sandboxes=self.sandboxes,
            emit=self.outbox.emit,
        )
        parts = TurnParts(
            thread_id="thread-1",
            model=self.model,
            model_name="scripted",
            dispatcher=self.dispatcher,
            history=self.history,
            journal=self.journal,
            emit=self.outbox.emit,
            max_steps=self.max_steps,
            seconds=self.seconds,
            waited=lambda: self.desk.seconds_waited,
            prepare=self.prepare,
        )
        self.thread = Thread(parts, desk=self.desk, outbox=self.outbox)
        self.thread.owns(self.model.aclose)
        self.thread.owns(self.dispatcher.aclose)
        self.thread.owns(self.running.close)

    async def turn(
        self,
        prompt: str = "go",
        person: Person = lambda request: Answer.YES,
        watch: Callable[[Event], Any] = lambda event: None,
    ) -> list[Event]:
        """Run one turn to its end; its events. `watch` sees each event and may return an op to submit."""
        await self.thread.submit(StartTurn(prompt))
        seen: list[Event] = []
        async for event in self.thread.events():
            seen.append(event)
            self.events.append(event)
            if isinstance(event, ApprovalAsked) and (answer := person(event.request)) is not None:
                if isinstance(answer, Answer):
                    answer = ApprovalReply(request_id=event.request.id, answer=answer, approver="tester")
                await self.thread.submit(Reply(answer))
            if (op := watch(event)) is not None:
                await self.thread.submit(op)
            if isinstance(event, TurnCompleted | TurnFailed | TurnInterrupted):
                break
        return seen

    async def close(self) -> list[Event]:
        await self.thread.submit(Close())
        return [event async for event in self.thread.events()]

    def recorded(self) -> list[str]:
        """The kinds of audit event, in order."""
        return [type(event).__name__ for event in self.sink.events]


def of(kind: type, events: Sequence[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
