"""Records as OCSF 1.5.0 events: Process Activity, File System Activity, Application Lifecycle. Pure."""

from __future__ import annotations

from typing import Final, assert_never

from compliance.chain import Record
from compliance.codec import Json, JsonObject
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
from compliance.moments import epoch_millis
from execpolicy.decision import Decision

VERSION: Final = "1.5.0"
PRODUCT: Final = "policy-agent"

_Kind = tuple[int, str, int, str]  # class and category, each with its name
_PROCESS: Final[_Kind] = (1007, "Process Activity", 1, "System Activity")
_FILE: Final[_Kind] = (1001, "File System Activity", 1, "System Activity")
_LIFECYCLE: Final[_Kind] = (6002, "Application Lifecycle", 6, "Application Activity")
_INFO, _LOW, _MEDIUM, _HIGH = 1, 2, 3, 4
_VERDICTS: Final = {  # severity, action, disposition
    Decision.ALLOW: (_INFO, (1, "Allowed"), (1, "Allowed")),
    Decision.ASK: (_LOW, (0, "Unknown"), (14, "Delayed")),
    Decision.DENY: (_MEDIUM, (2, "Denied"), (2, "Blocked")),
}


def to_ocsf(record: Record, event: AuditEvent, started: SessionStarted | None) -> list[JsonObject]:
    """The OCSF events of one record. `started` is the beginning of its session, where that is known."""
    match event:
        case Decided():
            severity, action, disposition = _VERDICTS[event.verdict.decision]
            found = _base(record, event, started, _PROCESS, (1, "Launch"), severity)
            found["process"] = _process(event.subject, event)
            found["message"] = f"{event.verdict.decision.word}: {event.tool}"
            found["unmapped"] = {
                "call": event.call,
                "rules": list(dict.fromkeys(rule.rule_id for rule in event.verdict.matches)),
                "unknowns": list(event.verdict.unknowns),
            }
            deciding = event.verdict.deciding
            if deciding is not None:
                policy: JsonObject = {
                    "name": deciding.rule_id,
                    "uid": str(deciding.origin),
                    "is_applied": True,
                }
                if deciding.justification:
                    policy["desc"] = deciding.justification
                found["policy"] = policy
            return [_controlled(found, action, disposition)]
        case Approved():
            found = _base(record, event, started, _PROCESS, (99, "Approval"), _LOW)
            found["process"] = {"name": "unknown"}
            found["message"] = f"{event.answer.value} by {event.approver or 'nobody'}"
            found["unmapped"] = {"call": event.call, "answer": event.answer.value, "approver": event.approver}
            found["duration"] = round(event.seconds * 1000)
            if event.answer.granted:
                return [_controlled(found, (1, "Allowed"), (8, "Approved"))]
            return [_controlled(found, (2, "Denied"), (25, "Rejected"))]
        case Refused():
            found = _base(record, event, started, _PROCESS, (1, "Launch"), _MEDIUM)
            found["process"] = {"name": "unknown"}
            found["message"] = event.why
            found["unmapped"] = {"call": event.call}
            found |= {"status_id": 2, "status": "Failure"}
            return [_controlled(found, (2, "Denied"), (2, "Blocked"))]
        case Ran():
            found = _base(record, event, started, _PROCESS, (2, "Terminate"), _INFO)
            found["process"] = {"name": "unknown", "sandbox": event.sandbox}
            found["unmapped"] = {"call": event.call, "output_sha256": event.output_sha256}
            found["duration"] = round(event.seconds * 1000)
            if event.exit_code is not None:
                found["exit_code"] = event.exit_code
            return [_controlled(_ended(found, event.status), (1, "Allowed"), (1, "Allowed"))]
        case Patched():
            return [_patched(record, event, started, path) for path in event.paths]
        case SessionStarted():
            return [_lifecycle(record, event, event, (3, "Start"), f"session of {event.model} starts")]
        case SessionEnded():
            return [_lifecycle(record, event, started, (4, "Stop"), event.why)]
        case PolicyLoaded():
            found = _lifecycle(
                record, event, started, (99, "Policy loaded"), f"{len(event.files)} rule files"
            )
            files: list[Json] = [
                {"path": file.path, "layer": file.layer, "digest": file.digest, "usable": file.usable}
                for file in event.files
            ]
            found["unmapped"] = {"files": files, "errors": list(event.errors)}
            return [found]
        case Gap():
            found = _lifecycle(record, event, started, (99, "Audit gap"), event.reason)
            found |= {"severity_id": _HIGH, "severity": "High"}
            return [found]
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
        "severity_id": severity,
        "severity": {_INFO: "Informational", _LOW: "Low", _MEDIUM: "Medium", _HIGH: "High"}[severity],
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
    if kind is not _LIFECYCLE:
        actor: JsonObject = {"app_name": PRODUCT, "session": {"uid": event.session}}
        device: JsonObject = {"type_id": 0, "type": "Unknown"}
        if started is not None:
            actor["user"] = {"name": started.user}
            device["hostname"] = started.host
        found |= {"actor": actor, "device": device}
    return found


def _controlled(found: JsonObject, action: tuple[int, str], disposition: tuple[int, str]) -> JsonObject:
    metadata = found["metadata"]
    if isinstance(metadata, dict):
        metadata["profiles"] = ["security_control"]
    found |= {"action_id": action[0], "action": action[1]}
    return found | {"disposition_id": disposition[0], "disposition": disposition[1]}


def _process(subject: str, event: Decided) -> JsonObject:
    commands = [part.text for part in event.verdict.parts if part.kind == "command" and part.text.strip()]
    name = commands[0].split(maxsplit=1)[0].rsplit("/", 1)[-1] if commands else event.tool
    return {"name": name or event.tool, "cmd_line": subject, "working_directory": event.cwd}


def _ended(found: JsonObject, status: Outcome) -> JsonObject:
    good = status is Outcome.COMPLETED
    word = "Success" if good else "Failure"
    return found | {"status_id": 1 if good else 2, "status": word, "status_detail": status.value}


def _patched(record: Record, event: Patched, started: SessionStarted | None, path: str) -> JsonObject:
    found = _base(record, event, started, _FILE, (3, "Update"), _INFO)
    found["file"] = {
        "name": path.rsplit("/", 1)[-1] or path,
        "path": path,
        "type_id": 1,
        "type": "Regular File",
    }
    found["unmapped"] = {"call": event.call}
    return _ended(found, event.status)


def _lifecycle(
    record: Record, event: AuditEvent, started: SessionStarted | None, activity: tuple[int, str], text: str
) -> JsonObject:
    found = _base(record, event, started, _LIFECYCLE, activity, _INFO)
    app: JsonObject = {"name": PRODUCT, "vendor_name": PRODUCT}
    if started is not None:
        app["version"] = started.agent_version
    return found | {"app": app, "message": text}
