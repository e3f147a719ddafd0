"""Whole runs: real settings, real policy files, real sandbox, record and sessions, and a model over HTTP."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from agent.app.compose import compose
from agent.config.model import Settings
from agent.errors import SandboxUnavailable
from agent.llm.scripted import ScriptedServer, Step
from agent.llm.scripted import replay as steps_of
from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest
from agent.protocol.events import ApprovalAsked, Closed, Event, TurnCompleted, TurnFailed, TurnInterrupted
from agent.protocol.ops import Close, Reply, StartTurn
from agent.sandbox.select import select
from execpolicy.decision import SandboxMode

CANARY = "sk-canary0123456789abcdefghij"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@dataclass
class Story:
    """One project folder, one state folder, one model."""

    root: Path
    settings: Settings
    server: ScriptedServer
    events: list[Event] = field(default_factory=list)
    thread_id: str = ""

    @property
    def project(self) -> Path:
        return self.settings.cwd

    async def tell(
        self,
        prompt: str = "go",
        person: Callable[[ApprovalRequest], Answer] = lambda request: Answer.YES,
        watch: Callable[[Event], Any] = lambda event: None,
        *,
        resume: bool = False,
    ) -> list[Event]:
        """One session with one turn: opened, run, closed. Its events."""
        host = compose(self.settings)
        thread = await (host.resume(self.thread_id) if resume else host.open())
        self.thread_id = thread.thread_id
        await thread.submit(StartTurn(prompt))
        seen: list[Event] = []
        async for event in thread.events():
            seen.append(event)
            if isinstance(event, ApprovalAsked):
                answer = person(event.request)
                await thread.submit(
                    Reply(ApprovalReply(request_id=event.request.id, answer=answer, approver="ann"))
                )
            if (op := watch(event)) is not None:
                await thread.submit(op)
            if isinstance(event, TurnCompleted | TurnFailed | TurnInterrupted):
                await thread.submit(Close())
        assert seen[-1] == Closed()
        self.events += seen
        return seen

    def outputs(self, request: int = -1) -> list[str]:
        """The outputs that the model saw in one of its requests."""
        items = self.server.requests[request]["input"]
        assert isinstance(items, list)
        return [
            str(item["output"])
            for item in items
            if isinstance(item, dict) and str(item.get("type")).endswith("_output")
        ]

    def record(self) -> list[dict[str, Any]]:
        """The audit record, as it lies on the disk."""
        lines: list[dict[str, Any]] = []
        for path in sorted(self.settings.audit.glob("*.jsonl")):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
        return lines

    def policy(self, text: str) -> None:
        path = self.root / "team.rules"
        path.write_text(text)
        self.settings = replace(self.settings, policy_files=(path,))


def sandboxed() -> bool:
    try:
        select(SandboxMode.WORKSPACE_WRITE)
    except SandboxUnavailable:
        return False
    return True


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a story whose model answers with the given steps."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    project = tmp_path / "project"
    project.mkdir()
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    servers: list[ScriptedServer] = []

    def made(*steps: Step, **settings: Any) -> Story:
        server = ScriptedServer(steps_of(steps))
        server.start()
        servers.append(server)
        settings.setdefault("interactive", True)
        settings.setdefault(
            "sandbox", SandboxMode.WORKSPACE_WRITE if sandboxed() else SandboxMode.FULL_ACCESS
        )
        base = Settings(
            agent_home=tmp_path / "home",
            cwd=project,
            workspace=project,
            model="scripted",
            base_url=server.base_url,
            api_key=CANARY,
            **settings,
        )
        return Story(tmp_path, base, server)

    yield made
    for server in servers:
        server.stop()
