"""Requests of OTLP as protobuf and as JSON, and from one to the other.

OTLP's JSON is that of protobuf but for ids, which are hexadecimal, and enums, which are numbers.
Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from compliance.otel.base import Encoding
from compliance.otel.settings import Signal

if TYPE_CHECKING:
    from google.protobuf.message import Message

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def encoded(message: Message, encoding: Encoding) -> bytes:
    """A request as it goes over a wire."""
    if encoding is Encoding.PROTOBUF:
        return message.SerializeToString()
    return to_json(message).encode()


def to_json(message: Message) -> str:
    """A request as one line of OTLP JSON."""
    from google.protobuf.json_format import MessageToDict

    value = MessageToDict(message, use_integers_for_enums=True)
    _ids(value, lambda text: base64.b64decode(text).hex())
    return json.dumps(value, separators=(",", ":"))


def from_json(line: bytes, signal: Signal) -> Message:
    """The request of a line of OTLP JSON. ValueError when it is none."""
    from google.protobuf.json_format import ParseDict, ParseError

    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError("no object")
    _ids(value, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    try:
        return ParseDict(value, request_of(signal), ignore_unknown_fields=True)
    except ParseError as error:
        raise ValueError(str(error)) from error


def request_of(signal: Signal) -> Message:
    """An empty request."""
    match signal:
        case Signal.TRACES:
            from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

            return ExportTraceServiceRequest()
        case Signal.LOGS:
            from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

            return ExportLogsServiceRequest()
        case Signal.METRICS:
            from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
                ExportMetricsServiceRequest,
            )

            return ExportMetricsServiceRequest()


def _ids(value: Any, change: Callable[[str], str]) -> None:
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            for name, inner in one.items():
                if name in _IDS and isinstance(inner, str):
                    one[name] = change(inner)
                elif isinstance(inner, dict | list):
                    todo.append(inner)
