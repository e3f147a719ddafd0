"""Records as OTLP log requests in JSON: one request a record. Pure; needs no package of OpenTelemetry.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: ids are hexadecimal, enums are numbers,
numbers of 64 bits are text.
"""

from __future__ import annotations

from typing import Final

from compliance import semconv
from compliance.chain import Record
from compliance.codec import Json, JsonObject
from compliance.events import AuditEvent, Decided, SessionStarted
from compliance.moments import epoch_nanos
from compliance.semconv import Attributes, Value

SERVICE: Final = "policy-agent"
_SEVERITIES: Final = {semconv.INFO: "INFO", semconv.WARN: "WARN", semconv.ERROR: "ERROR"}


def to_otlp(
    record: Record, event: AuditEvent, started: SessionStarted | None, *, content: bool = True
) -> JsonObject:
    """An ExportLogsServiceRequest. `content`: with the words of the call, as the record has them."""
    common = semconv.of_record(record.seq, event)
    common |= {"agent.audit.digest": record.digest, "agent.audit.prev_hash": record.prev}
    if content and isinstance(event, Decided):
        common["gen_ai.tool.call.arguments"] = event.subject
    nanos = str(epoch_nanos(record.time))
    place: JsonObject = {}
    if event.session:
        place["traceId"] = f"{semconv.trace_id(event.session):032x}"
        place["spanId"] = f"{semconv.span_id(event.session, getattr(event, 'call', '')):016x}"
    records: list[Json] = [
        {
            "timeUnixNano": nanos,
            "observedTimeUnixNano": nanos,
            "severityNumber": told.severity,
            "severityText": _SEVERITIES[told.severity],
            "eventName": told.name,
            "attributes": _attributes(semconv.sound(common | told.attributes)),
            **place,
        }
        for told in semconv.told(event)
    ]
    version = started.agent_version if started is not None else ""
    scope: JsonObject = {"name": semconv.SCOPE, **({"version": version} if version else {})}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _attributes(_resource(started))},
                "scopeLogs": [{"scope": scope, "logRecords": records, "schemaUrl": semconv.SCHEMA_URL}],
            }
        ]
    }


def _resource(started: SessionStarted | None) -> Attributes:
    found: Attributes = {"service.name": SERVICE}
    if started is not None:
        found |= {"service.version": started.agent_version}
        if started.host:
            found["host.name"] = started.host
    return semconv.sound(found)


def _attributes(found: Attributes) -> list[Json]:
    return [{"key": name, "value": _value(value)} for name, value in found.items()]


def _value(value: Value) -> JsonObject:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}  # type: ignore[dict-item]  # written here, never sealed
        case str():
            return {"stringValue": value}
        case _:
            return {"arrayValue": {"values": [{"stringValue": one} for one in value]}}
