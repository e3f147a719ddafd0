"""Long commands and shells in whole runs: confined, judged by real rules, recorded, gone at the end."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agent.llm.scripted import Calls, Says, Step, respond
from agent.llm.scripted import replay as steps_of
from agent.protocol.events import CommandEnded, Status, ToolEnded, TurnCompleted
from agent.protocol.items import JsonObject

RULES = """
prefix_rule(pattern = [["bash", "echo", "cd", "pwd", "cat", "sleep"]], decision = "allow")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "publishing is for people")
"""


def numbered(*steps: Step) -> Any:
    """The steps, with the number of the session that the request names in place of 0."""
    script = steps_of(steps)

    def answer(request: JsonObject) -> Step:
        found = re.findall(r"session ID (\d+)", str(request["input"]))
        step = script(request)
        for call in getattr(step, "outputs", ()):
            if (
                isinstance(call, Calls)
                and isinstance(call.arguments, dict)
                and "session_id" in call.arguments
            ):
                call.arguments["session_id"] = int(found[-1]) if found else 1
        return step

    return answer


def feed(chars: str, **more: Any) -> Calls:
    return Calls("write_stdin", {"session_id": 0, "chars": chars, "yield_time_ms": 400, **more})


async def test_a_shell_in_the_sandbox(story: Any) -> None:
    told = story()
    told.server.script = numbered(
        respond(Calls("exec_command", {"cmd": "bash"})),
        respond(feed("cd sub\n")),
        respond(feed("pwd; echo no > /etc/nowhere\n")),
        respond(feed("git push origin\n")),
        respond(feed("echo yes > file; cat file\n")),
        respond(Says("Done.")),
    )
    told.policy(RULES)
    (told.project / "sub").mkdir()
    events = await told.tell()
    outputs = told.outputs()
    assert f"{told.project}/sub\n" in "".join(outputs[2:])  # it may come with what is read next
    assert "publishing is for people" in outputs[3]
    assert (told.project / "sub" / "file").read_text() == "yes\n"
    ended = [event for event in events if isinstance(event, CommandEnded)]
    assert [event.status for event in ended] == [Status.INTERRUPTED]
    assert [event.status for event in events if isinstance(event, ToolEnded)][2] is Status.DECLINED
    record = str(told.record())
    assert "git push origin" in record
    assert any(isinstance(event, TurnCompleted) for event in events)


@pytest.mark.parametrize("tty", [True, False])
async def test_a_command_that_goes_on_is_gone_at_the_end(story: Any, tty: bool) -> None:
    told = story()
    told.server.script = numbered(
        respond(Calls("exec_command", {"cmd": "echo up; sleep 300", "yield_time_ms": 250, "tty": tty})),
        respond(feed("", yield_time_ms=5000)),
        respond(Says("Done.")),
    )
    told.policy(RULES)
    events = await told.tell()
    assert "up" in told.outputs()[0]
    assert "running" in told.outputs()[1]
    assert [event.status for event in events if isinstance(event, CommandEnded)] == [Status.INTERRUPTED]
    assert any("interrupted" in str(line) for line in told.record())
