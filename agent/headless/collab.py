"""A call of an agent's tools as the item that Codex writes of it."""

from __future__ import annotations

import json

from agent.protocol.events import Status, ToolEnded, ToolStarted
from agent.protocol.items import Json, JsonObject

# Our tools, and what Codex calls them.
TOOLS = {"spawn_agent": "spawn_agent", "wait_agent": "wait", "close_agent": "close_agent"}
_STATES = {"failed": "errored", "closed": "shutdown"}


def begun(event: ToolStarted, sender: str) -> JsonObject:
    """The item of a call that has begun."""
    return _item(event.tool, event.arguments or {}, sender, {}, "in_progress")


def ended(event: ToolEnded, sender: str) -> JsonObject:
    """The item of a call that is over."""
    done = event.status is Status.COMPLETED
    said = _object(event.message) if done else {}
    failed = not done or "error" in said
    about = _item(event.tool, event.arguments or {}, sender, said, "failed" if failed else "completed")
    return about | ({"message": event.message} if failed else {})


def _item(tool: str, arguments: JsonObject, sender: str, said: JsonObject, status: str) -> JsonObject:
    named = arguments.get("targets", arguments.get("target", said.get("agent_id")))
    receivers: list[Json] = list(named) if isinstance(named, list) else [named] if named else []
    states: JsonObject = {}
    known = said.get("status")
    for name, state in (known if isinstance(known, dict) else {}).items():
        for word, message in (state if isinstance(state, dict) else {}).items():
            states[name] = {"status": _STATES.get(word, word), "message": message or None}
    return {
        "tool": TOOLS[tool],
        "sender_thread_id": sender,
        "receiver_thread_ids": receivers,
        "prompt": arguments.get("message"),
        "agents_states": states,
        "status": status,
    }


def _object(text: str) -> JsonObject:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
