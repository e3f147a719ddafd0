"""Agents that the model starts: the same policy, sandbox, record and person; never more than their starter."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import SandboxUnavailable
from agent.llm.scripted import Calls, CallsCustom, Respond, Says, Step, respond
from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import (
    CommandEnded,
    Judged,
    MessageDone,
    PatchEnded,
    ToolStarted,
    TurnCompleted,
    TurnInterrupted,
)
from agent.protocol.items import JsonObject
from agent.protocol.ops import Interrupt
from agent.sandbox.select import select
from execpolicy.decision import SandboxMode

RULES = """
prefix_rule(pattern = ["echo"], decision = "allow")
prefix_rule(pattern = ["sleep"], decision = "allow")
prefix_rule(pattern = ["touch"], decision = "ask", justification = "makes files")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "publishing is for people")
"""


def played(boss: list[Step], helper: list[Step]) -> Any:
    """Two scripts: who is asked shows in the first prompt."""
    lines = {True: iter(boss), False: iter(helper)}

    def answer(request: JsonObject) -> Step:
        names = [tool["name"] for tool in request["tools"]]  # type: ignore[index,union-attr,call-overload]
        return next(lines["spawn_agent" in names])

    return answer


def run(cmd: str) -> Calls:
    return Calls("exec_command", {"cmd": cmd})


def spawn(message: str = "help me") -> Calls:
    return Calls("spawn_agent", {"message": message})


WAIT = Calls("wait_agent", {"targets": ["agent-1"], "timeout_ms": 20_000})


async def test_a_helper_works_under_the_same_policy(story: Any) -> None:
    told = story()
    told.server.script = played(
        [respond(spawn()), respond(WAIT), respond(Says("all done"))],
        [
            respond(run("git push"), run("touch made"), Calls("spawn_agent", {"message": "more"})),
            Respond((Says("I did it"),), usage=(7, 1)),
        ],
    )
    told.policy(RULES)
    asked: list[str] = []

    def person(request: ApprovalRequest) -> Answer:
        asked.append(request.subject)
        return Answer.YES

    events = await told.tell(person=person)
    assert asked == ["touch made"]
    assert (told.project / "made").exists()
    (waited,) = [text for text in told.outputs() if "status" in text]
    assert '{"agent-1": {"completed": "I did it"}}' in waited
    helper = [r for r in told.server.requests if "spawn_agent" not in [tool["name"] for tool in r["tools"]]][
        -1
    ]
    assert "publishing is for people" in str(helper["input"])
    assert "unsupported call: spawn_agent" in str(helper["input"])
    assert [event.text for event in events if isinstance(event, MessageDone)] == ["all done"]
    assert "git push" in str(told.record())
    assert [e.usage.input_tokens for e in events if isinstance(e, TurnCompleted)] == [407]


async def test_an_interrupt_ends_helpers_and_what_they_run(story: Any) -> None:
    told = story()
    told.server.script = played([respond(spawn()), respond(WAIT)], [respond(run("sleep 300"))])
    told.policy(RULES)
    events = await told.tell(
        watch=lambda event: Interrupt() if type(event).__name__ == "CommandStarted" else None
    )
    assert any(isinstance(event, TurnInterrupted) for event in events)
    assert [event.status.value for event in events if isinstance(event, CommandEnded)] == ["interrupted"]


async def test_too_many_and_unknown_ones(story: Any) -> None:
    told = story()
    boss: list[Step] = [
        respond(*[spawn(f"task {n}") for n in range(5)], Calls("close_agent", {"target": "agent-9"})),
        respond(Calls("close_agent", {"target": "agent-1"}), Calls("wait_agent", {"targets": []})),
        respond(Says("ok")),
    ]
    told.server.script = played(boss, [respond(run("sleep 300"))] * 4)
    told.policy(RULES)
    await told.tell()
    outputs = told.outputs()
    assert "4 agents are at work" in outputs[4]
    assert "no agent `agent-9`" in outputs[5]
    assert '"agent-1": {"running"' in outputs[6]
    assert "no agent" in outputs[7]


async def test_a_rule_can_forbid_helpers(story: Any) -> None:
    told = story(respond(spawn()), respond(Says("ok")))
    told.policy('tool_rule(tool = "spawn_agent", decision = "deny", justification = "alone, please")')
    await told.tell()
    assert "alone, please" in told.outputs()[0]
    assert len(told.server.requests) == 2


REACH = """
prefix_rule(pattern = ["touch"], decision = "allow")
prefix_rule(pattern = ["python3"], decision = "allow")
prefix_rule(pattern = ["mkdir"], decision = "ask")
prefix_rule(pattern = ["rm"], decision = "deny")
"""


@pytest.mark.parametrize("answer", [Answer.YES, Answer.NO])
@pytest.mark.parametrize(
    ("sandbox", "network", "approval", "interactive"),
    [
        (SandboxMode.READ_ONLY, False, "on-request", True),
        (SandboxMode.READ_ONLY, True, "untrusted", True),
        (SandboxMode.READ_ONLY, False, "never", False),
        (SandboxMode.WORKSPACE_WRITE, False, "on-request", True),
        (SandboxMode.WORKSPACE_WRITE, True, "never", True),
        (SandboxMode.WORKSPACE_WRITE, False, "on-failure", True),
        (SandboxMode.WORKSPACE_WRITE, True, "on-request", False),
        (SandboxMode.FULL_ACCESS, True, "untrusted", True),
        (SandboxMode.FULL_ACCESS, False, "never", False),
    ],
)
async def test_a_helper_can_do_what_its_starter_can_and_no_more(
    story: Any, sandbox: SandboxMode, network: bool, approval: str, interactive: bool, answer: Answer
) -> None:
    if sandbox is not SandboxMode.FULL_ACCESS:
        try:
            select(sandbox)
        except SandboxUnavailable:
            pytest.skip("no sandbox on this machine")
    told = story(
        sandbox=sandbox,
        network=network,
        approval_policy=approval,
        interactive=interactive,
        exclude_slash_tmp=True,
        exclude_tmpdir=True,
    )
    port = told.server.base_url.rsplit(":", 1)[1].partition("/")[0]
    outside = told.root / "outside"
    outside.mkdir()
    lines = [
        "touch inside",
        f"touch {outside}/made",
        f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 3)'",
        "mkdir -p folder",
        "rm inside",
        "make it",
    ]
    tried = (
        *map(run, lines),
        Calls(
            "exec_command",
            {"cmd": "touch up", "sandbox_permissions": "require_escalated", "justification": "I must"},
        ),
        CallsCustom("apply_patch", f"*** Begin Patch\n*** Add File: {outside}/p\n+x\n*** End Patch\n"),
    )
    told.server.script = played(
        [respond(*tried), respond(spawn()), respond(WAIT), respond(Says("done"))],
        [respond(*tried), respond(Says("I did"))],
    )
    told.policy(REACH)
    seen: list[list[tuple[object, ...]]] = [[], []]
    begun = False
    for event in await told.tell(person=lambda request: answer):
        begun = begun or (isinstance(event, ToolStarted) and event.tool == "spawn_agent")
        if isinstance(event, CommandEnded):
            seen[begun].append((event.command, event.status.value, event.exit_code, event.refusal))
        elif isinstance(event, PatchEnded):
            seen[begun].append(("patch", event.status.value, event.refusal))
        elif isinstance(event, Judged) and event.tool not in ("spawn_agent", "wait_agent"):
            seen[begun].append((event.subject, event.verdict.decision.word))
    starter, helper = (sorted(map(str, one)) for one in seen)
    assert len(starter) >= 2 * len(tried)
    assert helper == starter
