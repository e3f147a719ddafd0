"""Each item of the event stream, member by member: what clients of Codex read, and what is ours beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.headless.jsonl import JsonLines
from agent.protocol.events import (
    CommandEnded,
    CommandStarted,
    Event,
    FileChange,
    MessageDone,
    PatchEnded,
    PatchStarted,
    PlanStep,
    PlanUpdated,
    ReasoningDone,
    Refusal,
    Status,
    ThreadStarted,
    ToolEnded,
    ToolStarted,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.items import Usage

TEXT, WHOLE, NONE, LIST, OBJECT = str, int, type(None), list, dict
CHANGE = FileChange("/w/a.py", "add")
COMMAND = {"id": TEXT, "type": TEXT, "command": TEXT, "aggregated_output": TEXT, "status": TEXT}
PATCH = {"id": TEXT, "type": TEXT, "changes": LIST, "status": TEXT}
MCP = {"id": TEXT, "type": TEXT, "server": TEXT, "tool": TEXT, "arguments": OBJECT, "status": TEXT}
COLLAB = {
    "id": TEXT,
    "type": TEXT,
    "tool": TEXT,
    "sender_thread_id": TEXT,
    "receiver_thread_ids": LIST,
    "agents_states": OBJECT,
    "status": TEXT,
}
OURS = {"script", "call_id", "seconds", "refusal", "signal", "timed_out", "omitted_bytes", "message", "help"}

Row = tuple[tuple[Event, ...], str, dict[str, type], str | None]


def command(status: Status, code: int | None, **more: Any) -> tuple[Event, ...]:
    return CommandStarted("c", "ls", "/w"), CommandEnded("c", "ls", "out", code, status, 0.1, **more)


def tool(name: str, server: str, status: Status, arguments: dict[str, Any], **more: Any) -> tuple[Event, ...]:
    ended = ToolEnded("c", name, status, server, arguments, name, **more)
    return ToolStarted("c", name, server, arguments, name), ended


PART = {"type": "text", "text": "hi"}
ROWS: dict[str, Row] = {
    "command-completed": (
        command(Status.COMPLETED, 0),
        "command_execution",
        COMMAND | {"exit_code": WHOLE},
        "completed",
    ),
    "command-failed": (
        command(Status.FAILED, 3),
        "command_execution",
        COMMAND | {"exit_code": WHOLE},
        "failed",
    ),
    "command-declined": (
        command(Status.DECLINED, None, refusal=Refusal.POLICY)[1:],
        "command_execution",
        COMMAND | {"exit_code": NONE},
        "declined",
    ),
    "command-interrupted": (
        command(Status.INTERRUPTED, None),
        "command_execution",
        COMMAND | {"exit_code": NONE},
        "failed",
    ),
    "patch-completed": (
        (PatchStarted("c", (CHANGE,)), PatchEnded("c", (CHANGE,), Status.COMPLETED, "", "")),
        "file_change",
        PATCH,
        "completed",
    ),
    "patch-refused": (
        (PatchEnded("c", (CHANGE,), Status.DECLINED, "no", "", refusal=Refusal.POLICY),),
        "file_change",
        PATCH,
        "failed",
    ),
    "mcp-completed": (
        tool("echo", "mini", Status.COMPLETED, {"a": 1}, content=(PART,), structured={"said": "hi"}),
        "mcp_tool_call",
        MCP | {"result": OBJECT, "error": NONE},
        "completed",
    ),
    "mcp-failed": (
        tool("echo", "mini", Status.FAILED, {}, message="gone"),
        "mcp_tool_call",
        MCP | {"result": NONE, "error": OBJECT},
        "failed",
    ),
    "mcp-answered-with-an-error": (
        tool("echo", "mini", Status.FAILED, {}, message="no luck", content=(PART,)),
        "mcp_tool_call",
        MCP | {"result": OBJECT, "error": OBJECT},
        "failed",
    ),
    "mcp-refused": (
        tool("echo", "mini", Status.DECLINED, {}, message="no", refusal=Refusal.POLICY)[1:],
        "mcp_tool_call",
        MCP | {"result": NONE, "error": OBJECT},
        "failed",
    ),
    "collab": (
        tool("spawn_agent", "", Status.COMPLETED, {"message": "look"}, message='{"agent_id": "agent-1"}'),
        "collab_tool_call",
        COLLAB | {"prompt": TEXT},
        "completed",
    ),
    "collab-refused": (
        tool("close_agent", "", Status.DECLINED, {"target": "agent-1"}, message="no")[1:],
        "collab_tool_call",
        COLLAB | {"prompt": NONE},
        "failed",
    ),
    "web-search": (
        (
            ToolEnded(
                "ws_1",
                "web_search",
                Status.COMPLETED,
                arguments={"type": "search", "query": "q"},
                subject="q",
            ),
        ),
        "web_search",
        {"id": TEXT, "type": TEXT, "query": TEXT, "action": OBJECT, "status": TEXT},
        "completed",
    ),
    "plan": (
        (PlanUpdated((PlanStep("a", "pending"),)), PlanUpdated((PlanStep("a", "completed"),))),
        "todo_list",
        {"id": TEXT, "type": TEXT, "items": LIST},
        None,
    ),
    "thought": ((ReasoningDone("hm"),), "reasoning", {"id": TEXT, "type": TEXT, "text": TEXT}, None),
    "message": ((MessageDone("hi"),), "agent_message", {"id": TEXT, "type": TEXT, "text": TEXT}, None),
    "warning": ((Warned("w", "h"),), "error", {"id": TEXT, "type": TEXT, "message": TEXT}, None),
}
# What Codex tells of with one event alone.
ALONE = {"reasoning", "agent_message", "error"}


def told(*events: Event) -> list[dict[str, Any]]:
    written: list[str] = []
    show = JsonLines(written.append)
    for event in events:
        show.event(event)
    return [json.loads(line) for line in written]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_members_of_an_item(row: Row) -> None:
    events, type_, members, status = row
    lines = told(*events, TurnCompleted(Usage()))
    items = [line for line in lines if "item" in line]
    assert {line["item"]["id"] for line in items} == {"item_0"}
    assert all(line["item"]["type"] == type_ for line in items)
    kinds = [line["type"] for line in items]
    assert kinds[-1] == "item.completed"
    assert kinds.count("item.completed") == 1
    assert ("item.updated" in kinds) is (type_ == "todo_list")
    assert type_ not in ALONE or len(kinds) == 1
    begun = len(events) > 1 or type_ == "web_search"
    assert kinds[0] == ("item.started" if begun else "item.completed")
    for line in items[:-1]:
        started = line["item"]
        assert set(started) - OURS <= set(members)
        assert started.get("status", "in_progress") == "in_progress"
        assert all(type(started[name]) in (kind, NONE) for name, kind in members.items() if name in started)
    last = items[-1]["item"]
    assert set(last) - (OURS - set(members)) == set(members)
    for name, kind in members.items():
        assert type(last[name]) is kind, name
    if status is not None:
        assert last["status"] == status


def test_inner_members() -> None:
    def completed(name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            line["item"]
            for line in told(*ROWS[name][0], TurnCompleted(Usage()))
            if line["type"] == "item.completed"
        )
        return found

    assert completed("patch-completed")["changes"] == [{"path": "/w/a.py", "kind": "add"}]
    assert completed("mcp-completed")["result"] == {"content": [PART], "structured_content": {"said": "hi"}}
    assert completed("mcp-answered-with-an-error")["error"] == {"message": "no luck"}
    assert completed("plan")["items"] == [{"text": "a", "completed": True}]
    assert completed("web-search")["action"] == {"type": "search", "query": "q"}
    assert completed("collab")["receiver_thread_ids"] == ["agent-1"]
    assert completed("command-completed")["command"] == "/bin/bash -lc ls"


def test_numbers_are_consecutive_over_all_items() -> None:
    events = [event for row in ROWS.values() for event in row[0]]
    lines = told(
        ThreadStarted("t", model="m", cwd="/w", sandbox="read-only"), TurnStarted("t:1", "go"), *events
    )
    first = list(dict.fromkeys(line["item"]["id"] for line in lines if "item" in line))
    assert first == [f"item_{number}" for number in range(len(first))]


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (TurnCompleted(Usage(5, 4, 3, 2, 1)), ["turn.completed"]),
        (TurnFailed("no"), ["error", "turn.failed"]),
        (TurnInterrupted("SIGINT"), ["turn.interrupted", "turn.failed"]),
    ],
)
def test_the_end_of_a_turn_closes_the_plan_first(end: Event, last: list[str]) -> None:
    lines = told(PlanUpdated((PlanStep("a", "pending"),)), end)
    assert [line["type"] for line in lines] == ["item.started", "item.completed", *last]
    if isinstance(end, TurnCompleted):
        assert lines[-1]["usage"] == {
            "input_tokens": 5,
            "cached_input_tokens": 4,
            "cache_write_input_tokens": 1,
            "output_tokens": 3,
            "reasoning_output_tokens": 2,
        }
