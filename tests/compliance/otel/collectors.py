"""Collectors in this process: good ones over HTTP and gRPC, read with the official protobuf, and bad ones."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    GapKind,
    Outcome,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
)
from compliance.otel.form import from_json, request_of
from compliance.otel.settings import Signal
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict


class Taken:
    """What a collector was given."""

    def __init__(self) -> None:
        self.requests: list[tuple[Signal, Any]] = []
        self.raw: list[tuple[str, dict[str, str], bytes]] = []

    def of(self, signal: Signal) -> list[Any]:
        return [message for one, message in list(self.requests) if one is signal]

    def spans(self) -> dict[str, Any]:
        return {
            span.name: span
            for message in self.of(Signal.TRACES)
            for resource in message.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def events(self) -> list[Any]:
        return [
            record
            for message in self.of(Signal.LOGS)
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def metrics(self) -> dict[str, Any]:
        return {
            metric.name: metric
            for message in self.of(Signal.METRICS)
            for resource in message.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def counts(self) -> dict[str, int]:
        return {
            name: sum(point.as_int for point in metric.sum.data_points)
            for name, metric in self.metrics().items()
            if metric.HasField("sum")
        }


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, as a collector does; `answer` and `delay` make it a bad one."""

    daemon_threads = True

    def __init__(self, status: int = 200, delay: float = 0, answer: bytes = b"", kind: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.delay, self.answer, self.kind = status, delay, answer, kind
        self.statuses: list[
            tuple[int, str]
        ] = []  # what the next requests are answered, and when to try again
        self.taken = Taken()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Whoever does not wait for the answer is no error of this test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        server = self.server
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(server.delay)
        body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        status, again = server.statuses.pop(0) if server.statuses else (server.status, "")
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.taken.raw.append((self.path, headers, body))
        if status == 200:
            signal = Signal(self.path.rsplit("/", 1)[-1])
            if headers["content-type"] == "application/json":
                message = from_json(body, signal)
            else:
                message = request_of(signal)
                message.ParseFromString(body)
            server.taken.requests.append((signal, message))
        self.send_response(status)
        self.send_header("Content-Type", server.kind or headers["content-type"])
        self.send_header("Content-Length", str(len(server.answer)))
        if again:
            self.send_header("Retry-After", again)
        self.end_headers()
        self.wfile.write(server.answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector(
    status: int = 200, delay: float = 0, answer: bytes = b"", kind: str = ""
) -> Iterator[Collector]:
    server = Collector(status, delay, answer, kind)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class GrpcCollector(Taken):
    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.fail: list[Any] = []  # status codes for the next requests
        self.metadata: list[dict[str, str]] = []
        self.rejected = 0


@contextmanager
def grpc_collector() -> Iterator[GrpcCollector]:
    """A gRPC server made of the official service definitions."""
    import grpc
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

    found = GrpcCollector()

    def take(signal: Signal, answer: Any) -> Callable[[Any, Any, Any], Any]:
        def Export(_: Any, request: Any, context: Any) -> Any:
            found.metadata.append(dict(context.invocation_metadata()))
            if found.fail:
                context.abort(found.fail.pop(0), "as the test wants")
            found.requests.append((signal, request))
            return answer()

        return Export

    def rejecting() -> Any:
        made = logs.ExportLogsServiceResponse()
        if found.rejected:
            made.partial_success.rejected_log_records = found.rejected
            made.partial_success.error_message = "too much"
        return made

    def service(base: type, signal: Signal, answer: Any) -> Any:
        return type("Service", (base,), {"Export": take(signal, answer)})()

    server = grpc.server(ThreadPoolExecutor(4))
    traces_grpc.add_TraceServiceServicer_to_server(
        service(traces_grpc.TraceServiceServicer, Signal.TRACES, traces.ExportTraceServiceResponse), server
    )
    logs_grpc.add_LogsServiceServicer_to_server(
        service(logs_grpc.LogsServiceServicer, Signal.LOGS, rejecting), server
    )
    metrics_grpc.add_MetricsServiceServicer_to_server(
        service(metrics_grpc.MetricsServiceServicer, Signal.METRICS, metrics.ExportMetricsServiceResponse),
        server,
    )
    found.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield found
    finally:
        server.stop(0).wait(5)


@contextmanager
def liar(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that takes connections and does with each what `behave` does. Its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def one(connection: socket.socket) -> None:
        try:
            with connection:
                behave(connection)
        except OSError:
            pass

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def attributes(thing: Any) -> dict[str, Any]:
    found = {}
    for one in thing.attributes:
        which = one.value.WhichOneof("value")
        value = getattr(one.value, which) if which else None
        found[one.key] = [each.string_value for each in value.values] if which == "array_value" else value
    return found


def verdict(decision: Decision) -> Verdict:
    rule = RuleMatch(
        rule_id="git.push",
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.MANAGED, "/etc/a.rules", 7),
    )
    part = Part(kind="command", text="/usr/bin/git push", decision=decision, matches=(rule,))
    return Verdict(decision=decision, parts=(part,))


STORY: list[AuditEvent] = [
    SessionStarted("s1", "1.2", "model-x", "/repo", "/repo", "workspace-write", "user", user="ann"),
    PolicyLoaded("s1", (PolicyFile("/etc/a.rules", "managed", "d1g", True),)),
    Decided("s1", "c1", "exec_command", "git push --token abc", "/repo", verdict(Decision.ASK)),
    Approved("s1", "c1", Reply.YES, "ann", seconds=1.5),
    Ran("s1", "c1", 3, Outcome.FAILED, 0.2, "0" * 64, 10, "bubblewrap"),
    Decided("s1", "c2", "apply_patch", "*** Begin Patch", "/repo", Verdict(decision=Decision.ALLOW)),
    Patched("s1", "c2", ("/repo/a",), Outcome.COMPLETED),
    Decided("s1", "c3", "other_tool", "x", "/repo", verdict(Decision.DENY)),
    Refused("s1", "c3", "denied by git.push"),
    Gap("s1", GapKind.TORN, "half a line"),
    SessionEnded("s1", "done"),
]
