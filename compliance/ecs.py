"""Records as Elastic Common Schema documents. Pure."""

from __future__ import annotations

from typing import Final, assert_never

from compliance.chain import Record
from compliance.codec import Json, JsonObject, kind_of
from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    Connected,
    Decided,
    Gap,
    LinkEnd,
    Outcome,
    Overridden,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.query import program_of
from execpolicy.decision import Decision

VERSION: Final = "9.4.0"
_OUTCOMES: Final = {Outcome.COMPLETED: "success", Outcome.FAILED: "failure", Outcome.TIMED_OUT: "failure"}
_TYPES: Final = {Decision.ALLOW: "allowed", Decision.ASK: "info", Decision.DENY: "denied"}
_SEVERITIES: Final = {Decision.ALLOW: 1, Decision.ASK: 3, Decision.DENY: 6}


def to_ecs(record: Record, event: AuditEvent, started: SessionStarted | None) -> JsonObject:
    """The document of one record. `started` is the beginning of its session, where that is known.

    What ECS has no field for stands in `labels`, whose values are texts.
    """
    about: JsonObject = {
        "kind": "event",
        "module": "policy-agent",
        "dataset": "policy-agent.audit",
        "provider": "policy-agent",
        "action": kind_of(event).replace("_", "-"),
        "sequence": record.seq,
        "id": record.digest,
        "hash": record.digest,
        "timezone": "UTC",
    }
    labels: dict[str, str] = {"session": event.session, "masked": " ".join(event.masked)}
    labels["call"] = getattr(event, "call", "")
    found: JsonObject = {
        "@timestamp": record.time,
        "ecs": {"version": VERSION},
        "event": about,
        "observer": {"type": "agent", "product": "policy-agent", "vendor": "policy-agent"},
    }
    if started is not None:
        found["observer"] = {
            "type": "agent",
            "product": "policy-agent",
            "vendor": "policy-agent",
            "version": started.agent_version,
        }
        found |= {
            key: {"name": name} for key, name in (("user", started.user), ("host", started.host)) if name
        }
    match event:
        case Decided():
            _decided(event, found, about, labels)
        case Overridden():
            about |= {"category": ["process"], "type": ["allowed"], "outcome": "success"}
            about["reason"] = f"an exception until {event.until} opened the rule"
            found["rule"] = _filled({"id": event.rule, "name": event.rule, "reference": event.origin})
            labels |= {"approver": event.approved_by, "until": event.until, "ticket": event.ticket}
        case Approved():
            granted = event.answer.granted
            about |= {"category": ["process"], "type": ["allowed" if granted else "denied"]}
            about |= {"outcome": "success" if granted else "failure", "reason": event.message}
            about["duration"] = round(event.seconds * 1e9)
            labels |= {"answer": event.answer.value, "approver": event.approver}
            labels |= {"scope": event.scope, "until": event.until, "rules": " ".join(event.rules)}
        case Revoked():
            about |= {"category": ["configuration"], "type": ["change"], "outcome": "success"}
            found["rule"] = _filled({"id": event.rule, "name": event.rule, "ruleset": event.path})
            labels |= {"scope": event.scope, "by": event.by}
        case Ran():
            _ended(about, "process", event.status, event.seconds)
            labels |= {"sandbox": event.sandbox, "output_sha256": event.output_sha256}
            found["process"] = {"entity_id": event.call}
            if event.exit_code is not None:
                found["process"] = {"entity_id": event.call, "exit_code": event.exit_code}
        case ToolCalled():
            _ended(about, "api", event.status, event.seconds)
            labels |= {"tool": event.tool, "server": event.server, "output_sha256": event.output_sha256}
        case SandboxDenied():
            about |= {"category": ["process"], "type": ["denied"], "outcome": "failure"}
            about |= {"reason": event.sign, "severity": _SEVERITIES[Decision.DENY]}
            found["process"] = {"entity_id": event.call}
            if event.path:
                found["file"] = _file(event.path)
            labels |= {"sandbox": event.sandbox, "mode": event.mode}
        case Connected():
            _connected(event, found, about)
            labels |= {"protocol": event.protocol, "rules": " ".join(event.rules), "decision": event.decision}
        case Patched():
            about |= {"category": ["file"], "type": ["change"]}
            about["outcome"] = _OUTCOMES.get(event.status, "unknown")
            if event.paths:
                found["file"] = _file(event.paths[0])
            labels["paths"] = " ".join(event.paths)
        case Refused():
            about |= {"category": ["process"], "type": ["denied"], "outcome": "failure", "reason": event.why}
            about["severity"] = _SEVERITIES[Decision.DENY]
        case SessionStarted():
            about |= {"category": ["session"], "type": ["start"]}
            found["process"] = _filled({"working_directory": event.cwd})
            labels |= {"model": event.model, "provider": event.provider}
            labels |= {"sandbox": event.sandbox, "approval": event.approval}
        case SessionEnded():
            about |= {"category": ["session"], "type": ["end"], "reason": event.why}
        case PolicyLoaded():
            about |= {"category": ["configuration"], "type": ["info"], "reason": "; ".join(event.errors)}
            labels |= {"digests": " ".join(file.digest for file in event.files), "policy": event.policy}
        case Situated():
            about |= {"category": ["configuration"], "type": ["info"]}
            labels |= {"situation": event.id, "workspace": event.workspace, "sandbox": event.sandbox}
        case BundleChanged():
            about |= {"category": ["configuration"], "type": ["change"], "reason": event.why}
            found["rule"] = _filled({"ruleset": event.bundle, "version": event.version})
            labels |= {"step": event.step.value, "digest": event.digest, "ring": event.ring, "by": event.by}
        case Witnessed():
            about |= {"category": ["configuration"], "type": ["info"], "reason": event.why}
            about["outcome"] = "success" if event.cosigned else "failure"
            labels |= {"witness": event.witness, "size": str(event.size)}
        case Gap():
            about |= {"kind": "pipeline_error", "category": ["configuration"], "type": ["info"]}
            about |= {"reason": event.reason, "severity": 8}
            labels["gap"] = event.kind.value
        case other:
            assert_never(other)
    found["labels"] = _filled(labels)
    found["event"] = {key: value for key, value in about.items() if value != ""}
    return found


def _decided(event: Decided, found: JsonObject, about: JsonObject, labels: dict[str, str]) -> None:
    verdict = event.verdict
    decision = verdict.decision
    about |= {"category": ["process"], "type": [_TYPES[decision]], "outcome": "unknown"}
    about["severity"] = _SEVERITIES[decision]
    if decision is not Decision.ASK:
        about["outcome"] = "success" if decision is Decision.ALLOW else "failure"
    found["message"] = f"{decision.word}: {event.subject}"
    process: JsonObject = {"entity_id": event.call, "command_line": event.subject}
    process["working_directory"] = event.cwd
    commands = [part for part in verdict.parts if part.kind == "command" and part.text.strip()]
    process["name"] = program_of(commands[0]).rsplit("/", 1)[-1] if commands else event.tool
    read = event.commands[0].argv if event.commands else ()
    if read and all(word is not None for word in read):
        args: list[Json] = list(read)
        process |= {"args": args, "args_count": len(args)}
    found["process"] = process
    deciding = verdict.deciding
    if deciding is not None:
        about["reason"] = deciding.justification or ""
        found["rule"] = _filled(
            {
                "id": deciding.rule_id,
                "name": deciding.rule_id,
                "ruleset": deciding.origin.path,
                "reference": str(deciding.origin),
                "category": deciding.origin.layer.word,
                "description": deciding.justification or "",
                "author": deciding.owner or "",
                "version": event.policy,
            }
        )
    labels |= {
        "tool": event.tool,
        "decision": decision.word,
        "rules": " ".join(dict.fromkeys(rule.rule_id for rule in verdict.matches)),
        "controls": " ".join(dict.fromkeys(text for rule in verdict.matches for text in rule.controls)),
        "would": event.would,
        "agent": event.agent,
        "model": event.model,
        "situation": event.situation,
    }


def _connected(event: Connected, found: JsonObject, about: JsonObject) -> None:
    good = event.outcome in (LinkEnd.OPENED, LinkEnd.CLOSED)
    kind = {LinkEnd.OPENED: "start", LinkEnd.REFUSED: "denied"}.get(event.outcome, "end")
    about |= {"category": ["network"], "type": ["connection", kind], "reason": event.why}
    about |= {"outcome": "success" if good else "failure"}
    if event.outcome is LinkEnd.REFUSED:
        about["severity"] = _SEVERITIES[Decision.DENY]
    if event.outcome is not LinkEnd.OPENED:
        about["duration"] = round(event.seconds * 1e9)
    there = _filled({"address": event.host, "domain": event.host, "ip": event.address})
    found["destination"] = there | {"port": event.port, "bytes": event.bytes_down}
    found["source"] = {"bytes": event.bytes_up}
    network: JsonObject = {
        "direction": "egress",
        "transport": "udp" if event.protocol.endswith("udp") else "tcp",
        "bytes": event.bytes_up + event.bytes_down,
    }
    if event.protocol in ("http", "https"):
        network["protocol"] = "http"
    found["network"] = network
    found["process"] = {"entity_id": event.call}


def _ended(about: JsonObject, category: str, status: Outcome, seconds: float) -> None:
    about |= {"category": [category], "type": ["end"], "duration": round(seconds * 1e9)}
    about["outcome"] = _OUTCOMES.get(status, "unknown")


def _file(path: str) -> JsonObject:
    return _filled({"path": path, "name": path.rsplit("/", 1)[-1]})


def _filled(fields: dict[str, str]) -> JsonObject:
    return {key: value for key, value in fields.items() if value}
