"""A thread as a file that others can read: JSON Lines for programs, Markdown for people."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from agent.protocol.items import Json, JsonObject, message_text
from agent.protocol.plain import visible
from agent.sessions.store import ITEM, TURN, SessionInfo, StoredEvent

_HEADS = {"user": "User", "assistant": "Agent", "developer": "Program", "system": "Program"}


class Hiding(Protocol):
    """What hides secrets: `agent.app.masking.Masking`."""

    def text(self, text: str) -> str: ...

    def json(self, value: JsonObject, tool: str | None = None, server: str | None = None) -> JsonObject: ...

    def marker(self, text: str, mask: str) -> str: ...

    def hidden_file(self, script: str) -> str | None:
        """The mask that hides what `script` says, for it reads a file whose contents are hidden."""
        ...


def without_secrets(
    info: SessionInfo, events: Sequence[StoredEvent], hiding: Hiding
) -> tuple[SessionInfo, list[StoredEvent]]:
    """The thread as it may be given away."""
    calls: dict[str, str] = {}  # the calls whose output is hidden, and the mask that says so
    for one in events:  # a secret that one place tells may stand bare in another, also before it
        _hidden(one.payload, calls, hiding)
    shown = dataclasses.replace(
        info,
        title=hiding.text(info.title),
        name=hiding.text(info.name),
        cwd=hiding.text(info.cwd),
        workspace=hiding.text(info.workspace),
        model=hiding.text(info.model),
    )
    return shown, [dataclasses.replace(one, payload=_hidden(one.payload, calls, hiding)) for one in events]


def _hidden(item: JsonObject, calls: dict[str, str], hiding: Hiding) -> JsonObject:
    kind, call_id = item.get("type"), str(item.get("call_id", ""))
    if kind in ("function_call", "custom_tool_call"):
        if (mask := hiding.hidden_file(_call_text(item))) is not None:
            calls[call_id] = mask
        server, _, tool = str(item.get("name", "")).removeprefix("mcp__").rpartition("__")
        raw = item.get("arguments")
        try:
            arguments = json.loads(raw) if isinstance(raw, str) else None
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(arguments, dict):
            hidden = hiding.json(arguments, tool, server or None)
            if hidden != arguments:
                item = {**item, "arguments": json.dumps(hidden, ensure_ascii=False)}
    elif kind in ("function_call_output", "custom_tool_call_output") and call_id in calls:
        item = {**item, "output": hiding.marker(_output_text(item.get("output")), calls[call_id])}
    return hiding.json(item)


def json_lines(info: SessionInfo, events: Sequence[StoredEvent]) -> Iterator[str]:
    """One object a line: the thread, then each event as it is stored."""
    yield json.dumps({"kind": "session", **dataclasses.asdict(info)})
    for event in events:
        yield json.dumps({"seq": event.seq, "at": event.at, "kind": event.kind, "payload": event.payload})


def markdown(info: SessionInfo, events: Sequence[StoredEvent]) -> Iterator[str]:
    """Headings and fenced blocks. What a text holds cannot end the block that it stands in."""
    yield f"# {_line(info.name or info.title) or 'Session'}\n"
    yield f"- session: `{info.thread_id}`"
    yield f"- begun: {info.created_at}, last used: {info.updated_at}"
    yield f"- folder: `{_line(info.cwd)}`"
    yield f"- model: `{_line(info.model)}`"
    if info.forked_from:
        yield f"- forked from: `{info.forked_from}`"
    for event in events:
        if event.kind == ITEM:
            yield from _item(event.payload)
        elif event.kind == TURN and event.payload.get("state") in ("failed", "interrupted"):
            why = event.payload.get("message") or event.payload.get("reason") or ""
            yield f"\n*The turn {event.payload['state']}: {_line(str(why))}*"


def _item(item: JsonObject) -> Iterator[str]:
    match item.get("type"):
        case "message":
            yield f"\n## {_HEADS.get(str(item.get('role', 'assistant')), 'Program')}\n"
            yield visible(message_text(item))
            content = item.get("content")
            images = content if isinstance(content, list) else []
            count = sum(isinstance(part, dict) and part.get("type") == "input_image" for part in images)
            if count:
                yield f"\n*({count} image(s))*"
        case "function_call" | "custom_tool_call":
            yield f"\n### `{_line(str(item.get('name', '')))}`\n"
            yield _block(_call_text(item))
        case "function_call_output" | "custom_tool_call_output":
            yield "\nOutput:\n"
            yield _block(_output_text(item.get("output")))
        case "reasoning":
            summary = item.get("summary")
            parts = summary if isinstance(summary, list) else []
            text = "\n\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
            if text.strip():
                yield "\n" + "\n".join(f"> {line}" for line in visible(text).split("\n"))
        case kind:
            yield f"\n*({_line(str(kind))})*"


def _call_text(item: JsonObject) -> str:
    raw = item.get("input", item.get("arguments"))
    text = raw if isinstance(raw, str) else json.dumps(raw)
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(arguments, dict) and isinstance(arguments.get("cmd"), str):
        return str(arguments["cmd"])
    return text


def _output_text(output: Json) -> str:
    if isinstance(output, str):
        return output
    parts = output if isinstance(output, list) else []
    return "\n".join(
        str(part.get("text", f"({part.get('type', 'part')})")) for part in parts if isinstance(part, dict)
    )


def _block(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{visible(text).rstrip(chr(10))}\n{fence}"


def _line(text: str) -> str:
    return visible(text).replace("\n", " ").replace("`", "'").strip()
