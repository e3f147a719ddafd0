"""A conversation that outgrows the model, in a whole run: summed up, stored, and gone on with."""

from __future__ import annotations

from typing import Any

from agent.llm.scripted import Calls, CallsCustom, Output, Respond, Says, Thinks, respond
from agent.protocol.events import Compacted, TurnCompleted

RULES = 'prefix_rule(pattern = ["echo"], decision = "allow")\n'


async def test_it_is_summed_up_and_resumed(story: Any) -> None:
    told = story(
        Respond((Calls("exec_command", {"cmd": "echo found"}),), usage=(9000, 10)),
        respond(Says("the answer was: found")),
        respond(Says("done")),
        respond(Says("again")),
        compact_tokens=5000,
    )
    told.policy(RULES)
    events = await told.tell("look for it")
    assert [type(event) for event in events if isinstance(event, Compacted)] == [Compacted]
    await told.tell("and now", resume=True)
    last = str(told.server.requests[-1]["input"])
    assert "the answer was: found" in last
    assert "look for it" in last
    assert "function_call" not in last
    assert any(isinstance(event, TurnCompleted) for event in told.events)


def patch(name: str) -> CallsCustom:
    return CallsCustom("apply_patch", f"*** Begin Patch\n*** Add File: {name}\n+x\n*** End Patch\n")


def plan(*states: str) -> Calls:
    steps = [{"step": f"step {number}", "status": state} for number, state in enumerate(states)]
    return Calls("update_plan", {"plan": steps})  # type: ignore[dict-item]


async def test_plan_tasks_and_files_survive_five_summaries_and_a_resume(story: Any) -> None:
    rounds: list[Any] = []
    for number in range(5):
        doing: list[Output] = [Thinks("hm"), patch(f"file{number}.txt")]
        if number == 0:
            doing += [
                plan("completed", "in_progress", "pending"),
                Calls("exec_command", {"cmd": "sleep 300", "yield_time_ms": 250}),
            ]
        rounds += [Respond(tuple(doing), usage=(9000, 10)), respond(Says(f"summary {number}"))]
    told = story(*rounds, respond(Says("done")), respond(Says("again")), compact_tokens=5000)
    told.policy(
        'prefix_rule(pattern = ["sleep"], decision = "allow")\n'
        'path_rule(paths = ["**"], access = ["write"], decision = "allow")\n'
    )
    events = await told.tell("build it all")
    assert any(isinstance(event, TurnCompleted) for event in events)
    assert len([event for event in events if isinstance(event, Compacted)]) == 5
    kept = str(told.server.requests[-1]["input"])
    assert "sleep 300" in kept
    assert "encrypted_content" not in kept  # a thought without what it led to is refused by the service
    await told.tell("and now", resume=True)
    last = str(told.server.requests[-1]["input"])
    for word in (
        "build it all",
        "summary 4",
        "- [in_progress] step 1",
        "- [pending] step 2",
        *(f"- add file{number}.txt" for number in range(5)),
        "and now",
    ):
        assert word in last, word
    assert "summary 3" not in last
    assert len(list(told.project.glob("file*.txt"))) == 5
    usages = [event.usage for event in told.events if isinstance(event, TurnCompleted)]
    assert [usage.input_tokens for usage in usages] == [5 * 9000 + 5 * 100 + 100, 5 * 9000 + 5 * 100 + 200]
