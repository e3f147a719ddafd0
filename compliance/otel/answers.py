"""What a collector's answer says, in the words of the OTLP specification. Pure; an answer is a foreign text.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response and #partial-success. The answers of all three
signals have one form in protobuf, so that one class reads them all.
"""

from __future__ import annotations

import json
import math
from typing import Final

from compliance.otel.base import Answer, Encoding, Fate

_LATER: Final = frozenset({429, 502, 503, 504})
_UNFIT: Final = frozenset({400, 413, 422})
MOST_WAIT: Final = 300.0  # seconds; who asks for more is asked again before
_REJECTED: Final = ("rejectedSpans", "rejectedLogRecords", "rejectedDataPoints")


class NoAnswer(ValueError):
    """This is not what a collector answers."""


def http_answer(status: int, kind: str, body: bytes, retry_after: str = "") -> Answer:
    """What an HTTP answer means; `kind` is its content type."""
    if status == 200:
        try:
            return success(Encoding.JSON if kind.startswith("application/json") else Encoding.PROTOBUF, body)
        except NoAnswer as error:
            return Answer(Fate.CLOSED, f"the answer is not that of a collector: {error}")
    why = f"the collector answered {status}"
    if status in _LATER:
        return Answer(Fate.LATER, why, seconds=_wait(retry_after))
    if status in _UNFIT:
        return Answer(Fate.UNFIT, why)
    return Answer(Fate.CLOSED, why)


def success(encoding: Encoding, body: bytes) -> Answer:
    """What an answer with the status of success says. NoAnswer when it is none."""
    rejected, why = _from_json(body) if encoding is Encoding.JSON else _from_protobuf(body)
    why = " ".join(why.split())[:200]
    if rejected:
        why = f"the collector threw away {rejected}" + (f": {why}" if why else "")
    return Answer(Fate.TAKEN, why, rejected)


def _wait(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return min(seconds, MOST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def _from_json(body: bytes) -> tuple[int, str]:
    try:
        answer = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise NoAnswer("no JSON") from error
    if not isinstance(answer, dict):
        raise NoAnswer("no JSON object")
    partial = answer.get("partialSuccess") or {}
    if not isinstance(partial, dict):
        raise NoAnswer("`partialSuccess` is no object")
    try:
        rejected = sum(int(partial.get(name) or 0) for name in _REJECTED)
    except (TypeError, ValueError) as error:
        raise NoAnswer("what was thrown away is no number") from error
    return max(rejected, 0), str(partial.get("errorMessage") or "")


def _from_protobuf(body: bytes) -> tuple[int, str]:
    if not body:
        return 0, ""
    from google.protobuf.message import DecodeError
    from google.protobuf.unknown_fields import UnknownFieldSet
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        answer = ExportTraceServiceResponse.FromString(body)
    except DecodeError as error:
        raise NoAnswer("no protobuf") from error
    if len(UnknownFieldSet(answer)) and not answer.HasField("partial_success"):
        raise NoAnswer("another message")
    return max(answer.partial_success.rejected_spans, 0), answer.partial_success.error_message
