"""Events as JSON Lines: Codex's event stream, and what the policy said in event types of its own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import assert_never

from agent.headless import collab
from agent.protocol.approvals import Answer, Offer, Offers
from agent.protocol.beforehand import allowing
from agent.protocol.events import (
    ApprovalAnswered,
    ApprovalAsked,
    ApprovalMissing,
    CallFailed,
    Closed,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    Compacted,
    Event,
    FileChange,
    Judged,
    MessageDone,
    NetworkUsed,
    PatchEnded,
    PatchStarted,
    PlanUpdated,
    ReasoningDone,
    Retrying,
    Status,
    TextDelta,
    ThreadStarted,
    ToolEnded,
    ToolStarted,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.items import Json, JsonObject, Usage
from agent.protocol.verdicts import reason, way_out

_COMMAND_STATUS = {
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.DECLINED: "declined",
    Status.INTERRUPTED: "failed",
}


class JsonLines:
    """Writes one JSON object a line. `write` gets whole lines; nothing else may go where it writes."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._count = 0
        self._ids: dict[str, str] = {}  # call id -> item id, of what has begun
        self._thread = ""
        self._plan = ""  # item id of the plan of this turn
        self._plan_items: list[Json] = []

    def event(self, event: Event) -> None:
        """Write what `event` means to a client; some mean nothing."""
        match event:
            case ThreadStarted():
                self._thread = event.thread_id
                self._put(
                    {
                        "type": "thread.started",
                        "thread_id": event.thread_id,
                        "resumed": event.resumed,
                        "model": event.model,
                        "cwd": event.cwd,
                        "sandbox": event.sandbox,
                    }
                )
            case TurnStarted():
                self._put({"type": "turn.started"})
            case TextDelta() | CommandOutput() | Closed():
                pass
            case MessageDone(text):
                self._item("item.completed", self._new(), "agent_message", {"text": text})
            case ReasoningDone(text):
                if text:
                    self._item("item.completed", self._new(), "reasoning", {"text": text})
            case Judged():
                self._judged(event)
            case ApprovalAsked(request):
                self._put(
                    {
                        "type": "policy.approval",
                        "state": "asked",
                        "request_id": request.id,
                        "call_id": request.call_id,
                        "tool": request.tool,
                        "subject": request.subject,
                        "session_grant": request.session_grant or None,
                        **_all_offered(request.offers),
                    }
                )
            case ApprovalAnswered(reply, call_id):
                self._put(
                    {
                        "type": "policy.approval",
                        "state": "answered",
                        "request_id": reply.request_id,
                        "call_id": call_id,
                        "answer": reply.answer.value,
                        "approved": reply.answer.granted,
                        "message": reply.message,
                        "approver": reply.approver,
                    }
                )
            case ApprovalMissing():
                self._put(
                    {
                        "type": "policy.approval",
                        "state": "unanswered",
                        "request_id": None,
                        "call_id": event.call_id,
                        "tool": event.tool,
                        "subject": event.subject,
                        "approved": False,
                        "message": event.why,
                        "allow_with": allowing(event, project=not event.offers.user) or None,
                        **_all_offered(event.offers),
                    }
                )
            case CommandStarted(call_id, command):
                item = self._ids[call_id] = self._new()
                about: JsonObject = _worded(command) | {"aggregated_output": "", "exit_code": None}
                self._item("item.started", item, "command_execution", about | {"status": "in_progress"})
            case NetworkUsed():
                self._put(
                    {
                        "type": "network.connection",
                        "call_id": event.call_id,
                        "host": event.host,
                        "port": event.port,
                        "protocol": event.protocol,
                        "address": event.address or None,
                        "decision": event.decision,
                        "rules": list(event.rules),
                        "outcome": event.outcome,
                        "why": event.why,
                        "bytes_up": event.bytes_up,
                        "bytes_down": event.bytes_down,
                        "seconds": round(event.seconds, 3),
                        "count": event.count,
                    }
                )
            case CommandEnded():
                self._command(event)
            case PatchStarted(call_id, changes):
                item = self._ids[call_id] = self._new()
                changed: JsonObject = {"changes": _changes(changes), "status": "in_progress"}
                self._item("item.started", item, "file_change", changed)
            case PatchEnded():
                self._patch(event)
            case PlanUpdated():
                self._planned(event)
            case ToolStarted(call_id, tool, server, arguments):
                if not server and tool in collab.TOOLS:
                    item = self._ids[call_id] = self._new()
                    self._item("item.started", item, "collab_tool_call", collab.begun(event, self._thread))
                elif server:
                    item = self._ids[call_id] = self._new()
                    call: JsonObject = {"server": server, "tool": tool, "arguments": arguments}
                    call |= {"result": None, "error": None, "status": "in_progress"}
                    self._item("item.started", item, "mcp_tool_call", call)
            case ToolEnded():
                self._tool(event)
            case Compacted(before, after):
                self._put({"type": "context.compacted", "tokens_before": before, "tokens_after": after})
            case CallFailed(call_id, tool, message, refusal):
                failed: JsonObject = {"type": "call.failed", "call_id": call_id, "tool": tool}
                why = refusal.value if refusal else None
                self._put(failed | {"message": message, "refusal": why})
            case Retrying():
                self._retrying(event)
            case Warned(message, help):
                warning: JsonObject = {"message": message}
                if help:
                    warning["help"] = help
                self._item("item.completed", self._new(), "error", warning)
            case TurnCompleted(usage):
                self._end_plan()
                self._put({"type": "turn.completed", "usage": _usage(usage)})
            case TurnFailed(message, help):
                self._end_plan()
                self._failed(message, help)
            case TurnInterrupted(reason=cause):
                self.interrupted(cause)
            case _:
                assert_never(event)

    def interrupted(self, reason: str) -> None:
        """The turn was ended from outside. Clients that know Codex's events only see a failed turn."""
        self._end_plan()
        self._put({"type": "turn.interrupted", "reason": reason})
        said = f"interrupted: {reason}" if reason else "interrupted"
        self._put({"type": "turn.failed", "error": {"message": said}})

    def misfit(self, errors: tuple[str, ...]) -> None:
        """The final message does not fit the schema; the model is asked once more."""
        self._put({"type": "output.misfit", "errors": list(errors)})

    def failure(self, message: str, help: str) -> None:
        """Nothing could be begun. Clients show the message alone, so the remedy stands in it too."""
        self._failed(f"{message}\nhelp: {help}" if help else message, help)

    def _failed(self, message: str, help: str) -> None:
        self._put({"type": "error", "message": message})
        error: JsonObject = {"message": message}
        if help:
            error["help"] = help
        self._put({"type": "turn.failed", "error": error})

    def _judged(self, event: Judged) -> None:
        verdict = event.verdict
        deciding = verdict.deciding
        self._put(
            {
                "type": "policy.verdict",
                "call_id": event.call_id,
                "tool": event.tool,
                "subject": event.subject,
                "decision": verdict.decision.word,
                "rule": deciding.rule_id if deciding else None,
                "layer": deciding.origin.layer.word if deciding else None,
                "reason": reason(verdict),
                "way_out": way_out(verdict),
                "verdict": event.details,
            }
        )

    def _command(self, event: CommandEnded) -> None:
        about: JsonObject = {
            **_worded(event.command),
            "aggregated_output": event.output,
            "exit_code": event.exit_code,
            "status": _COMMAND_STATUS[event.status],
            "call_id": event.call_id,
            "seconds": round(event.seconds, 3),
        }
        if event.refusal is not None:
            about["refusal"] = event.refusal.value
        if event.signal is not None:
            about["signal"] = event.signal
        if event.timed_out:
            about["timed_out"] = True
        if event.omitted_bytes:
            about["omitted_bytes"] = event.omitted_bytes
        item = self._ids.pop(event.call_id, "") or self._new()
        self._item("item.completed", item, "command_execution", about)

    def _patch(self, event: PatchEnded) -> None:
        about: JsonObject = {
            "changes": _changes(event.changes),
            "status": "completed" if event.status is Status.COMPLETED else "failed",
            "call_id": event.call_id,
        }
        if event.status is not Status.COMPLETED:
            about["message"] = event.message
        if event.refusal is not None:
            about["refusal"] = event.refusal.value
        item = self._ids.pop(event.call_id, "") or self._new()
        self._item("item.completed", item, "file_change", about)

    def _tool(self, event: ToolEnded) -> None:
        done = event.status is Status.COMPLETED
        about: JsonObject = {"call_id": event.call_id, "seconds": round(event.seconds, 3)}
        if event.refusal is not None:
            about["refusal"] = event.refusal.value
        if event.tool == "web_search" and not event.server:
            searched: JsonObject = {"query": event.subject, "action": event.arguments or {}}
            item = self._new()
            # The service tells of a search when it is over; a client waits for both ends of it.
            self._item("item.started", item, "web_search", searched)
            self._item("item.completed", item, "web_search", searched | {"status": event.status.value})
            return
        if not event.server and event.tool in collab.TOOLS:
            item = self._ids.pop(event.call_id, "") or self._new()
            called = collab.ended(event, self._thread) | about
            self._item("item.completed", item, "collab_tool_call", called)
            return
        if not event.server:
            head: JsonObject = {"type": "tool.completed", "tool": event.tool, "status": event.status.value}
            self._put(head | about | {"subject": event.subject, "message": event.message})
            return
        content: list[Json] = list(event.content) or [{"type": "text", "text": event.message}]
        answered = done or bool(event.content)  # also with an error, which then has parts
        call: JsonObject = {
            "server": event.server,
            "tool": event.tool,
            "arguments": event.arguments,
            "result": {"content": content, "structured_content": event.structured} if answered else None,
            "error": None if done else {"message": event.message},
            "status": "completed" if done else "failed",
        }
        item = self._ids.pop(event.call_id, "") or self._new()
        self._item("item.completed", item, "mcp_tool_call", call | about)

    def _planned(self, event: PlanUpdated) -> None:
        kind = "item.updated" if self._plan else "item.started"
        self._plan = self._plan or self._new()
        self._plan_items = [
            {"text": step.step, "completed": step.status == "completed"} for step in event.steps
        ]
        self._item(kind, self._plan, "todo_list", {"items": self._plan_items})

    def _end_plan(self) -> None:
        if self._plan:
            self._item("item.completed", self._plan, "todo_list", {"items": self._plan_items})
            self._plan = ""

    def _retrying(self, event: Retrying) -> None:
        self._put(
            {
                "type": "error",
                "message": f"Reconnecting... {event.attempt}/{event.most} ({event.cause})",
                "attempt": event.attempt,
                "most": event.most,
                "seconds": round(event.seconds, 3),
            }
        )

    def _new(self) -> str:
        self._count += 1
        return f"item_{self._count - 1}"

    def _item(self, kind: str, item: str, type: str, about: JsonObject) -> None:
        whole: JsonObject = {"id": item, "type": type}
        whole.update(about)
        self._put({"type": kind, "item": whole})

    def _put(self, line: JsonObject) -> None:
        text = json.dumps(line, separators=(",", ":"))  # ASCII only
        if "\\ud" in text:
            # Half a character, of a file name or an output, is refused by many readers of JSON.
            whole = json.dumps(line, ensure_ascii=False).encode(errors="replace")
            text = json.dumps(json.loads(whole), separators=(",", ":"))
        self._write(text + "\n")


def _all_offered(offers: Offers) -> JsonObject:
    return {
        "offers": [
            _offered(answer, offer) for answer in (Answer.USER, Answer.PROJECT) for offer in offers.of(answer)
        ],
        "why_not": list(offers.why_not),
    }


def _offered(answer: Answer, offer: Offer) -> JsonObject:
    """A lasting answer, and the rules that it would keep."""
    return {
        "answer": answer.value,
        "wide": offer.wide,
        "extent": offer.extent,
        "ends": offer.ends,
        "rules": list(offer.rules),
        "also": list(offer.also),
        "still": list(offer.still),
        "notes": list(offer.notes),
    }


def _worded(script: str) -> JsonObject:
    """A command in the words of Codex, whose clients take the shell off again, and its text alone."""
    return {"command": shlex.join(("/bin/bash", "-lc", script)), "script": script}


def _changes(changes: tuple[FileChange, ...]) -> list[Json]:
    return [{"path": change.path, "kind": change.kind} for change in changes]


def _usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_input_tokens": usage.cache_write_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
    }
