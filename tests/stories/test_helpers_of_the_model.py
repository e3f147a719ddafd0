"""Agents that the model starts: the same policy, sandbox, record and person; never more than their starter."""

from __future__ import annotations

from typing import Any

from agent.llm.scripted import Calls, Respond, Says, Step, respond
from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import CommandEnded, MessageDone, TurnCompleted, TurnInterrupted
from agent.protocol.items import JsonObject
from agent.protocol.ops import Interrupt

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
