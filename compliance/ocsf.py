"""Records as OCSF 1.8.0 events: processes, files, interface calls, the life of the application. Pure.

Verdicts carry the profiles `security_control` (what was done about it) and `ai_operation` (which model asked).
"""

from __future__ import annotations

from typing import Final, assert_never

from compliance.chain import Record
from compliance.codec import Json, JsonObject
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
    PolicyFile,
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
from compliance.moments import epoch_millis
from compliance.query import program_of
from execpolicy.decision import Decision, RuleMatch

VERSION: Final = "1.8.0"
PRODUCT: Final = "policy-agent"

_Kind = tuple[int, str, int, str]  # class and category, each with its name
_PROCESS: Final[_Kind] = (1007, "Process Activity", 1, "System Activity")
_FILE: Final[_Kind] = (1001, "File System Activity", 1, "System Activity")
_NETWORK: Final[_Kind] = (4001, "Network Activity", 4, "Network Activity")
_LIFECYCLE: Final[_Kind] = (6002, "Application Lifecycle", 6, "Application Activity")
_INTERFACE: Final[_Kind] = (6003, "API Activity", 6, "Application Activity")
_INFO, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_SEVERITIES: Final = {_INFO: "Informational", _LOW: "Low", _MEDIUM: "Medium", _HIGH: "High"}
_ALLOWED: Final = (1, "Allowed")
_DENIED: Final = (2, "Denied")
_VERDICTS: Final = {  # severity, action, disposition
    Decision.ALLOW: (_INFO, _ALLOWED, (1, "Allowed")),
    Decision.ASK: (_LOW, (0, "Unknown"), (14, "Delayed")),
    Decision.DENY: (_MEDIUM, _DENIED, (2, "Blocked")),
}


_LINKS: Final = {
    LinkEnd.OPENED: (1, "Open"),
    LinkEnd.CLOSED: (2, "Close"),
    LinkEnd.CUT: (3, "Reset"),
    LinkEnd.FAILED: (4, "Fail"),
    LinkEnd.REFUSED: (5, "Refuse"),
}


def to_ocsf(record: Record, event: AuditEvent, started: SessionStarted | None) -> list[JsonObject]:
    """The OCSF events of one record. `started` is the beginning of its session, where that is known."""
    match event:
        case Decided():
            return [_decided(record, event, started)]
        case Overridden():
            found = _call(record, event, started, event.call, (99, "Override"), _LOW)
            found["message"] = f"an exception by {event.approved_by} until {event.until} opened {event.rule}"
            found["policy"] = {"name": event.rule, "uid": event.origin or event.rule, "is_applied": False}
            found = _more(found, until=event.until, approved_by=event.approved_by, ticket=event.ticket)
            return [_controlled(found, _ALLOWED, (8, "Approved"))]
        case Approved():
            found = _call(record, event, started, event.call, (99, "Approval"), _LOW)
            found["message"] = f"{event.answer.value} by {event.approver or 'nobody'}"
            found["duration"] = round(event.seconds * 1000)
            found = _more(found, answer=event.answer.value, approver=event.approver, said=event.message)
            found = _more(found, scope=event.scope, until=event.until, rules=" ".join(event.rules))
            if event.answer.granted:
                return [_controlled(found, _ALLOWED, (8, "Approved"))]
            return [_controlled(found, _DENIED, (25, "Rejected"))]
        case Refused():
            found = _call(record, event, started, event.call, (1, "Launch"), _MEDIUM)
            found |= {"message": event.why, "status_id": 2, "status": "Failure"}
            return [_controlled(found, _DENIED, (2, "Blocked"))]
        case SandboxDenied():
            found = _call(record, event, started, event.call, (99, "Sandbox denial"), _MEDIUM)
            found["process"] = {"uid": event.call, "sandbox": event.sandbox}
            found["message"] = event.sign
            found = _more(found, mode=event.mode, path=event.path)
            return [_controlled(found, _DENIED, (2, "Blocked"))]
        case Connected():
            return [_connected(record, event, started)]
        case Ran():
            found = _call(record, event, started, event.call, (2, "Terminate"), _INFO)
            found["process"] = {"uid": event.call, "sandbox": event.sandbox}
            found["duration"] = round(event.seconds * 1000)
            if event.exit_code is not None:
                found["exit_code"] = event.exit_code
            found = _more(found, output_sha256=event.output_sha256, output_bytes=event.output_bytes)
            return [_controlled(_ended(found, event.status), _ALLOWED, (1, "Allowed"))]
        case ToolCalled():
            return [_tool_called(record, event, started)]
        case Patched():
            return [_patched(record, event, started, path) for path in event.paths]
        case SessionStarted():
            return [_lifecycle(record, event, event, (3, "Start"), f"session of {event.model} starts")]
        case SessionEnded():
            return [_lifecycle(record, event, started, (4, "Stop"), event.why)]
        case PolicyLoaded():
            told = f"{len(event.files)} rule files"
            found = _lifecycle(record, event, started, (99, "Policy loaded"), told)
            files: list[Json] = [_rule_file(file) for file in event.files]
            return [_more(found, policy=event.policy, files=files, errors=list(event.errors))]
        case Revoked():
            told = f"{event.by} took back {event.rule}, kept for the {event.scope}"
            found = _lifecycle(record, event, started, (99, "Approval revoked"), told)
            return [_more(found, rule=event.rule, scope=event.scope, path=event.path, by=event.by)]
        case Situated():
            told = f"calls are judged in {event.workspace}"
            found = _lifecycle(record, event, started, (99, "Situation"), told)
            return [_more(found, situation=event.id, sandbox=event.sandbox, home=event.home)]
        case BundleChanged():
            told = f"bundle {event.bundle} {event.version}: {event.step.value}"
            found = _lifecycle(record, event, started, (99, f"Bundle {event.step.value}"), told)
            found = _more(found, bundle=event.bundle, version=event.version, digest=event.digest)
            return [_more(found, ring=event.ring, why=event.why, by=event.by)]
        case Witnessed():
            told = f"witness {event.witness}: {'cosigned' if event.cosigned else event.why}"
            found = _lifecycle(record, event, started, (99, "Witnessed"), told)
            if not event.cosigned:
                found |= {"severity_id": _MEDIUM, "severity": _SEVERITIES[_MEDIUM]}
            return [_more(found, size=event.size, why=event.why)]
        case Gap():
            found = _lifecycle(record, event, started, (99, "Audit gap"), event.reason)
            found |= {"severity_id": _HIGH, "severity": _SEVERITIES[_HIGH]}
            found = _more(found, gap=event.kind.value, kept=event.kept, sha256=event.sha256)
            return [_more(found, first_seq=event.first_seq, last_seq=event.last_seq, count=event.count)]
        case other:
            assert_never(other)


def _base(
    record: Record,
    event: AuditEvent,
    started: SessionStarted | None,
    kind: _Kind,
    activity: tuple[int, str],
    severity: int,
) -> JsonObject:
    time = epoch_millis(record.time)
    product: JsonObject = {"name": PRODUCT, "vendor_name": PRODUCT}
    if started is not None:
        product["version"] = started.agent_version
    found: JsonObject = {
        "class_uid": kind[0],
        "class_name": kind[1],
        "category_uid": kind[2],
        "category_name": kind[3],
        "activity_id": activity[0],
        "activity_name": activity[1],
        "type_uid": kind[0] * 100 + activity[0],
        "type_name": f"{kind[1]}: {activity[1]}",
        "time": time,
        "timezone_offset": 0,
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "metadata": {
            "version": VERSION,
            "product": product,
            "uid": record.digest,
            "sequence": record.seq,
            "correlation_uid": event.session,
            "log_name": "audit",
            "logged_time": time,
            "original_time": record.time,
        },
    }
    if event.masked:
        found = _more(found, masked=list(event.masked))
    if kind is not _LIFECYCLE:
        actor: JsonObject = {"app_name": PRODUCT, "session": {"uid": event.session}}
        device: JsonObject = {"type_id": 0, "type": "Unknown"}
        if started is not None and started.user:
            actor["user"] = {"name": started.user}
        if started is not None and started.host:
            device["hostname"] = started.host
        found["actor"] = actor
        if kind is not _INTERFACE:  # has a source in place of a device
            found["device"] = device
    return found


def _more(found: JsonObject, **told: Json) -> JsonObject:
    """`found` with what OCSF has no place for; what is empty is left out."""
    before = found.get("unmapped")
    kept: JsonObject = dict(before) if isinstance(before, dict) else {}
    kept |= {key: value for key, value in told.items() if value not in ("", [], None)}
    return found | {"unmapped": kept} if kept else found


def _call(
    record: Record,
    event: AuditEvent,
    started: SessionStarted | None,
    call: str,
    activity: tuple[int, str],
    severity: int,
) -> JsonObject:
    """An event about a call. Its process has no number yet, or no more: the call names it."""
    found = _base(record, event, started, _PROCESS, activity, severity)
    found["process"] = {"uid": call}
    return _asked_by(_more(found, call=call), event, started)


def _asked_by(found: JsonObject, event: AuditEvent, started: SessionStarted | None) -> JsonObject:
    """The profile `ai_operation`: which model asked, for which agent."""
    model = (event.model if isinstance(event, Decided) else "") or (started.model if started else "")
    context: JsonObject = {"application": {"name": PRODUCT}, "uid": event.session}
    if isinstance(event, Decided) and event.agent:
        context["name"] = event.agent
    found["message_context"] = context
    if model:
        found["ai_model"] = {"name": model, "ai_provider": (started.provider if started else "") or "unknown"}
    return _profiled(found, "ai_operation")


def _rule_file(file: PolicyFile) -> JsonObject:
    found: JsonObject = {
        "path": file.path,
        "layer": file.layer,
        "digest": file.digest,
        "usable": file.usable,
    }
    return found | {"bundle": file.bundle, "version": file.version} if file.bundle else found


def _profiled(found: JsonObject, profile: str) -> JsonObject:
    metadata = found["metadata"]
    if isinstance(metadata, dict):
        before = metadata.get("profiles")
        metadata["profiles"] = [*(before if isinstance(before, list) else ()), profile]
    return found


def _controlled(found: JsonObject, action: tuple[int, str], disposition: tuple[int, str]) -> JsonObject:
    """The profile `security_control`: what was done about it."""
    found |= {"action_id": action[0], "action": action[1]}
    return _profiled(
        found | {"disposition_id": disposition[0], "disposition": disposition[1]}, "security_control"
    )


def _decided(record: Record, event: Decided, started: SessionStarted | None) -> JsonObject:
    verdict = event.verdict
    severity, action, disposition = _VERDICTS[verdict.decision]
    found = _call(record, event, started, event.call, (1, "Launch"), severity)
    found["process"] = _process(event)
    found["message"] = f"{verdict.decision.word}: {event.tool}"
    found = _more(
        found,
        tool=event.tool,
        rules=list(dict.fromkeys(rule.rule_id for rule in verdict.matches)),
        controls=list(dict.fromkeys(text for rule in verdict.matches for text in rule.controls)),
        unknowns=list(verdict.unknowns),
        would=event.would,
        situation=event.situation,
    )
    deciding = verdict.deciding
    if deciding is not None:
        found["policy"] = _policy(deciding, event)
    spoke = {(rule.rule_id, rule.decision, rule.origin): rule for rule in verdict.matches}
    if spoke:
        found["authorizations"] = [
            {"decision": rule.decision.word, "policy": _policy(rule, event)} for rule in spoke.values()
        ]
    return _controlled(found, action, disposition)


def _policy(rule: RuleMatch, event: Decided) -> JsonObject:
    found: JsonObject = {"name": rule.rule_id, "uid": str(rule.origin), "is_applied": rule.enforced}
    found["type"] = f"{rule.origin.layer.word} rule"
    if rule.justification:
        found["desc"] = rule.justification
    if event.policy:
        found["version"] = event.policy
    return found


def _process(event: Decided) -> JsonObject:
    commands = [part for part in event.verdict.parts if part.kind == "command" and part.text.strip()]
    name = program_of(commands[0]).rsplit("/", 1)[-1] if commands else event.tool
    return {
        "uid": event.call,
        "name": name or event.tool,
        "cmd_line": event.subject,
        "working_directory": event.cwd,
    }


def _ended(found: JsonObject, status: Outcome) -> JsonObject:
    good = status is Outcome.COMPLETED
    word = "Success" if good else "Failure"
    return found | {"status_id": 1 if good else 2, "status": word, "status_detail": status.value}


def _tool_called(record: Record, event: ToolCalled, started: SessionStarted | None) -> JsonObject:
    found = _base(record, event, started, _INTERFACE, (99, "Call"), _INFO)
    interface: JsonObject = {"operation": event.tool}
    if event.server:
        interface["service"] = {"name": event.server}
    found |= {"api": interface, "src_endpoint": {"name": started.host if started else ""}}
    found["duration"] = round(event.seconds * 1000)
    found = _more(found, call=event.call, output_sha256=event.output_sha256, output_bytes=event.output_bytes)
    return _asked_by(_ended(found, event.status), event, started)


def _connected(record: Record, event: Connected, started: SessionStarted | None) -> JsonObject:
    """What a proxy saw: from this machine to a host. The profile `host` says who and where."""
    refused = event.decision == "deny" or event.outcome is LinkEnd.REFUSED
    activity = _LINKS[LinkEnd.REFUSED if refused else event.outcome]
    found = _profiled(
        _base(record, event, started, _NETWORK, activity, _MEDIUM if refused else _INFO), "host"
    )
    there: JsonObject = {"hostname": event.host, "port": event.port}
    if event.address:
        there["ip"] = event.address
    carrier = "udp" if event.protocol.endswith("udp") else "tcp"
    found |= {
        "message": f"{event.outcome.value} {event.host}:{event.port}",
        "count": event.count,
        "src_endpoint": {"name": (started.host if started else "") or "unknown"},
        "dst_endpoint": there,
        "connection_info": {"direction_id": 2, "direction": "Outbound", "protocol_name": carrier},
        "traffic": {"bytes_out": event.bytes_up, "bytes_in": event.bytes_down},
    }
    if event.protocol in ("http", "https"):
        found["app_protocol_name"] = event.protocol
    if event.outcome is not LinkEnd.OPENED:
        found["duration"] = round(event.seconds * 1000)
    good = event.outcome in (LinkEnd.OPENED, LinkEnd.CLOSED) and not refused
    found |= {"status_id": 1 if good else 2, "status": "Success" if good else "Failure"}
    if event.why:
        found["status_detail"] = event.why
    if event.rules:
        found["policy"] = {"name": event.rules[0], "uid": event.rules[0], "is_applied": True}
    found = _more(found, call=event.call, protocol=event.protocol, rules=list(event.rules))
    return _controlled(found, _DENIED if refused else _ALLOWED, (2, "Blocked") if refused else (1, "Allowed"))


def _patched(record: Record, event: Patched, started: SessionStarted | None, path: str) -> JsonObject:
    found = _base(record, event, started, _FILE, (3, "Update"), _INFO)
    found["file"] = {
        "name": path.rsplit("/", 1)[-1] or path,
        "path": path,
        "type_id": 1,
        "type": "Regular File",
    }
    return _ended(_more(found, call=event.call), event.status)


def _lifecycle(
    record: Record, event: AuditEvent, started: SessionStarted | None, activity: tuple[int, str], text: str
) -> JsonObject:
    found = _base(record, event, started, _LIFECYCLE, activity, _INFO)
    app: JsonObject = {"name": PRODUCT, "vendor_name": PRODUCT}
    if started is not None:
        app["version"] = started.agent_version
    return found | {"app": app, "message": text}
