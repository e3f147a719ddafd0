"""A conversation that outgrows the model, in a whole run: summed up, stored, and gone on with."""

from __future__ import annotations

from typing import Any

from agent.llm.scripted import Calls, Respond, Says, respond
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
