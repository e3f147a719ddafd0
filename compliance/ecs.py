"""Records as Elastic Common Schema documents. Pure."""

from __future__ import annotations

from typing import Final, assert_never

from compliance.chain import Record
from compliance.codec import JsonObject, kind_of
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    Outcome,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    SessionEnded,
    SessionStarted,
)
from execpolicy.decision import Decision

VERSION: Final = "8.17.0"
_OUTCOMES: Final = {Outcome.COMPLETED: "success", Outcome.FAILED: "failure", Outcome.TIMED_OUT: "failure"}
_TYPES: Final = {Decision.ALLOW: "allowed", Decision.ASK: "info", Decision.DENY: "denied"}


def to_ecs(record: Record, event: AuditEvent, started: SessionStarted | None) -> JsonObject:
    """The document of one record. `started` is the beginning of its session, where that is known."""
    about: JsonObject = {
        "kind": "event",
        "module": "policy-agent",
        "dataset": "policy-agent.audit",
        "action": kind_of(event).replace("_", "-"),
        "sequence": record.seq,
        "id": record.digest,
    }
    labels: JsonObject = {"session": event.session}
    if call := getattr(event, "call", ""):
        labels["call"] = call
    found: JsonObject = {
        "@timestamp": record.time,
        "ecs": {"version": VERSION},
        "event": about,
        "labels": labels,
        "observer": {"type": "agent", "product": "policy-agent"},
    }
    if started is not None:
        found |= {"user": {"name": started.user}, "host": {"name": started.host}}
        found["observer"] = {"type": "agent", "product": "policy-agent", "version": started.agent_version}
    match event:
        case Decided():
            _decided(event, found, about)
        case Approved():
            granted = event.answer.granted
            about |= {"category": ["process"], "type": ["allowed" if granted else "denied"]}
            about |= {"outcome": "success" if granted else "failure", "reason": event.message}
            about["duration"] = round(event.seconds * 1e9)
            labels |= {"answer": event.answer.value, "approver": event.approver}
        case Ran():
            about |= {"category": ["process"], "type": ["end"], "duration": round(event.seconds * 1e9)}
            about["outcome"] = _OUTCOMES.get(event.status, "unknown")
            labels["sandbox"] = event.sandbox
            if event.exit_code is not None:
                found["process"] = {"exit_code": event.exit_code}
        case Patched():
            about |= {"category": ["file"], "type": ["change"]}
            about["outcome"] = _OUTCOMES.get(event.status, "unknown")
            if event.paths:
                path = event.paths[0]
                found["file"] = {"path": path, "name": path.rsplit("/", 1)[-1]}
            labels["paths"] = " ".join(event.paths)
        case Refused():
            about |= {"category": ["process"], "type": ["denied"], "outcome": "failure", "reason": event.why}
        case SessionStarted():
            about |= {"category": ["session"], "type": ["start"]}
            labels |= {"model": event.model, "sandbox": event.sandbox, "approval": event.approval}
        case SessionEnded():
            about |= {"category": ["session"], "type": ["end"], "reason": event.why}
        case PolicyLoaded():
            about |= {"category": ["configuration"], "type": ["info"], "reason": "; ".join(event.errors)}
            labels["digests"] = " ".join(file.digest for file in event.files)
        case Gap():
            about |= {"kind": "pipeline_error", "category": ["configuration"], "type": ["error"]}
            about["reason"] = event.reason
        case other:
            assert_never(other)
    return found


def _decided(event: Decided, found: JsonObject, about: JsonObject) -> None:
    decision = event.verdict.decision
    about |= {"category": ["process"], "type": [_TYPES[decision]], "outcome": "unknown"}
    if decision is not Decision.ASK:
        about["outcome"] = "success" if decision is Decision.ALLOW else "failure"
    found["message"] = f"{decision.word}: {event.subject}"
    process: JsonObject = {"command_line": event.subject, "working_directory": event.cwd}
    commands = [part.text for part in event.verdict.parts if part.kind == "command" and part.text.strip()]
    process["name"] = commands[0].split(maxsplit=1)[0].rsplit("/", 1)[-1] if commands else event.tool
    found["process"] = process
    deciding = event.verdict.deciding
    if deciding is not None:
        rule: JsonObject = {"id": deciding.rule_id, "name": deciding.rule_id, "ruleset": deciding.origin.path}
        if deciding.justification:
            rule["description"] = deciding.justification
            about["reason"] = deciding.justification
        found["rule"] = rule
