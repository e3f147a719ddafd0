"""OTLP over gRPC. The only importer of `grpc`, and only when somebody asks for it.

Messages pass through as bytes: what is in them was encoded before, and answers are read by `answers.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from compliance.otel.answers import NoAnswer, success
from compliance.otel.base import MOST_ANSWER, Answer, Encoding, Fate
from compliance.otel.settings import Signal, Target

if TYPE_CHECKING:
    import grpc

_METHODS: Final[Mapping[Signal, str]] = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
# https://opentelemetry.io/docs/specs/otlp/#failures; RESOURCE_EXHAUSTED only where the server says when.
_LATER: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
_UNFIT: Final = frozenset({"INVALID_ARGUMENT"})


class GrpcWire:
    """One collector, one channel."""

    encoding = Encoding.PROTOBUF

    def __init__(self, target: Target, agent: str = "policy-agent") -> None:
        """ImportError where gRPC is not installed; OSError when a certificate cannot be read."""
        # The library writes to standard error, and wants to know of each fork, though ours only ever exec.
        for name, value in (("GRPC_VERBOSITY", "NONE"), ("GRPC_ENABLE_FORK_SUPPORT", "0")):
            os.environ.setdefault(name, value)
        import grpc

        at = urlsplit(target.endpoint)
        host = at.netloc.rpartition("@")[2]
        options = (
            ("grpc.primary_user_agent", agent),
            ("grpc.max_receive_message_length", MOST_ANSWER),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5000),
        )
        packed = grpc.Compression.Gzip if target.gzip else grpc.Compression.NoCompression
        self._seconds = target.seconds
        self._headers = tuple((name.lower(), value) for name, value in target.headers)
        if target.insecure:
            self._channel = grpc.insecure_channel(host, options, packed)
        else:
            known = grpc.ssl_channel_credentials(
                _file(target.certificate), _file(target.client_key), _file(target.client_certificate)
            )
            self._channel = grpc.secure_channel(host, known, options, packed)
        self._calls: dict[Signal, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {
            signal: self._channel.unary_unary(method, request_serializer=None, response_deserializer=None)
            for signal, method in _METHODS.items()
        }

    def send(self, signal: Signal, body: bytes) -> Answer:
        import grpc

        try:
            answer = self._calls[signal](body, timeout=self._seconds, metadata=self._headers)
            return success(Encoding.PROTOBUF, answer)
        except NoAnswer as error:
            return Answer(Fate.CLOSED, f"the answer is not that of a collector: {error}")
        except grpc.RpcError as error:
            return _failed(error)
        except (ValueError, TypeError) as error:  # the channel is closed, or a header is none
            return Answer(Fate.CLOSED, f"gRPC cannot send: {error}")

    def close(self) -> None:
        self._channel.close()


def _failed(error: grpc.RpcError) -> Answer:
    code = getattr(error, "code", lambda: None)()
    name = code.name if code is not None else "UNKNOWN"
    details = " ".join(str(getattr(error, "details", lambda: "")() or "").split())[:200]
    why = f"the collector answered {name}" + (f": {details}" if details else "")
    wait = _wait(error)
    if name in _LATER or (name == "RESOURCE_EXHAUSTED" and wait is not None):
        return Answer(Fate.LATER, why, seconds=wait)
    return Answer(Fate.UNFIT if name in _UNFIT else Fate.CLOSED, why)


def _wait(error: grpc.RpcError) -> float | None:
    """`RetryInfo` in the status details."""
    found: float | None = None
    with suppress(Exception):  # a foreign program's words, of any form
        from google.rpc.error_details_pb2 import RetryInfo
        from google.rpc.status_pb2 import Status

        for key, value in getattr(error, "trailing_metadata", tuple)() or ():
            if key == "grpc-status-details-bin":
                for detail in Status.FromString(value).details:
                    info = RetryInfo()
                    if detail.Unpack(info):
                        found = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return found


def _file(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None
