"""Telemetry reaches a real HTTP server as OTLP, and a collector that fails costs the caller nothing."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

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
from compliance.otel import exporters_asked_for, telemetry_from_environment
from compliance.sink import ModelCall
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

pytest.importorskip("opentelemetry.sdk")
proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
metrics_proto = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
logs_proto = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2")


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, as a collector does; `status` and `delay` make it a bad one."""

    def __init__(self, status: int = 200, delay: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.delay = status, delay
        self.taken: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> dict[str, object]:
        found = {}
        for path, _, body in self.taken:
            if path.endswith("/v1/traces"):
                for resource in proto.ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        found |= {span.name: span for span in scope.spans}
        return found

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path, _, body in self.taken:
            if path.endswith("/v1/metrics"):
                for resource in metrics_proto.ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in resource.scope_metrics:
                        for metric in scope.metrics:
                            found[metric.name] = sum(point.as_int for point in metric.sum.data_points)
        return found

    def events(self) -> list[object]:
        found = []
        for path, _, body in self.taken:
            if path.endswith("/v1/logs"):
                for resource in logs_proto.ExportLogsServiceRequest.FromString(body).resource_logs:
                    for scope in resource.scope_logs:
                        found += scope.log_records
        return found


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        time.sleep(self.server.delay)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.taken.append((self.path, headers, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector(status: int = 200, delay: float = 0) -> Iterator[Collector]:
    server = Collector(status, delay)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


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


def attributes(thing: object) -> dict[str, object]:
    found = {}
    for one in thing.attributes:  # type: ignore[attr-defined]
        which = one.value.WhichOneof("value")
        value = getattr(one.value, which) if which else None
        found[one.key] = [each.string_value for each in value.values] if which == "array_value" else value
    return found


def test_a_session_becomes_spans_and_events() -> None:
    with collector() as server:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
        telemetry = telemetry_from_environment(env, version="1.2")
        assert telemetry
        for seq, event in enumerate(STORY, 1):
            telemetry.observe(seq, event)
            if seq == 3:
                child = telemetry.traceparent("s1", "c1")
                telemetry.model_called(
                    ModelCall(session="s1", model="model-x", seconds=0.5, input_tokens=7, output_tokens=3)
                )
        telemetry.close()
        assert telemetry.trouble == ""
        spans, events = server.spans(), server.events()
        assert server.counts() == {
            "agent.policy.decisions": 3,
            "agent.policy.approvals": 1,
            "agent.audit.gaps": 1,
        }
        assert {headers["x-tenant"] for _, headers, _ in server.taken} == {"a b"}
    agent = spans["invoke_agent agent"]
    command, patch, denied, chat, ask = (
        spans[name]
        for name in (
            "execute_tool exec_command",
            "execute_tool apply_patch",
            "execute_tool other_tool",
            "chat model-x",
            "policy_decision",
        )
    )
    assert agent.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"  # type: ignore[attr-defined]
    assert agent.parent_span_id.hex() == "b7ad6b7169203331"  # type: ignore[attr-defined]
    for span in (command, patch, denied, chat):
        assert span.parent_span_id == agent.span_id  # type: ignore[attr-defined]
    assert ask.parent_span_id == command.span_id  # type: ignore[attr-defined]
    assert child == f"00-{command.trace_id.hex()}-{command.span_id.hex()}-01"  # type: ignore[attr-defined]
    assert attributes(command) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "exec_command",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": "s1",
        "process.executable.name": "git",
        "process.working_directory": "/repo",
        "process.exit.code": 3,
        "error.type": "failed",
        "agent.sandbox.name": "bubblewrap",
        "agent.policy.decision": "ask",
        "agent.policy.mode": "enforce",
        "agent.policy.enforced": True,
        "agent.policy.default": False,
        "agent.policy.matched_rules": ["git.push"],
        "security_rule.name": "git.push",
        "security_rule.ruleset.name": "/etc/a.rules",
        "security_rule.reference": "/etc/a.rules:7:1",
        "security_rule.category": "managed",
    }
    assert attributes(denied)["error.type"] == "declined"
    assert attributes(chat)["gen_ai.usage.input_tokens"] == 7
    assert round((chat.end_time_unix_nano - chat.start_time_unix_nano) / 1e8) == 5  # type: ignore[attr-defined]
    assert [event.event_name for event in events] == [  # type: ignore[attr-defined]
        "agent.policy.bundle",
        "agent.policy.decision",
        "agent.policy.approval",
        "agent.policy.decision",
        "agent.policy.decision",
        "agent.audit.gap",
    ]
    assert attributes(events[1])["agent.audit.seq"] == 3
    assert events[1].span_id == command.span_id  # type: ignore[attr-defined]
    approval = attributes(events[2])
    assert (approval["agent.policy.approval"], len(str(approval["agent.policy.approver.hash"]))) == (
        "granted",
        32,
    )
    everything = b"".join(body for _, _, body in server.taken)
    assert b"--token" not in everything
    assert b"ann" not in everything


def test_what_a_call_says_is_sent_only_to_who_opts_in() -> None:
    with collector() as server:
        env = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server.url}/own/v1/traces",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
        }
        telemetry = telemetry_from_environment(env)
        assert telemetry
        for seq, event in enumerate(STORY, 1):
            telemetry.observe(seq, event)
        telemetry.close()
        command = attributes(server.spans()["execute_tool exec_command"])
        assert command["gen_ai.tool.call.arguments"] == "git push --token abc"
        assert {path for path, _, _ in server.taken} == {"/own/v1/traces"}


@pytest.mark.parametrize(
    ("env", "want"),
    [
        ({}, {}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, {"TRACES": "otlp", "LOGS": "otlp", "METRICS": "otlp"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, {"TRACES": "otlp"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, {}),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"},
            {"LOGS": "otlp", "METRICS": "otlp"},
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, {"TRACES": "console"}),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_LOGS_EXPORTER": "none"}, {"TRACES": "otlp"}),
        ({"OTEL_SERVICE_NAME": "x"}, {}),
    ],
)
def test_the_standard_variables_say_what_is_sent(env: dict[str, str], want: dict[str, str]) -> None:
    assert exporters_asked_for(env) == want


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "`zipkin` is not supported"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "`grpc` is not supported"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_COMPRESSION": "brotli"},
            "telemetry cannot start",
        ),
    ],
)
def test_what_cannot_be_sent_is_said(env: dict[str, str], said: str) -> None:
    warnings: list[str] = []
    assert telemetry_from_environment(env, warnings.append) is None
    assert said in warnings[0]


@pytest.mark.parametrize(("status", "delay"), [(500, 0), (503, 0), (400, 0), (200, 5), (0, 0)])
def test_a_bad_collector_delays_nothing_and_prints_nothing(
    status: int, delay: float, capfd: pytest.CaptureFixture[str]
) -> None:
    with collector(status, delay) as server:
        url = server.url if status else "http://127.0.0.1:1"
        telemetry = telemetry_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        assert telemetry
        took = []
        for number in range(3000):  # more than the queue holds
            start = time.perf_counter()
            telemetry.observe(number, STORY[7])
            telemetry.observe(number, STORY[8])
            took.append(time.perf_counter() - start)
        start = time.perf_counter()
        telemetry.close()
        assert time.perf_counter() - start < 3
        assert sorted(took)[len(took) // 2] < 0.001
        if not delay:
            assert "telemetry could not be sent" in telemetry.trouble
        telemetry.observe(1, STORY[0])
        telemetry.close()
    assert capfd.readouterr() == ("", "")


BARE = """
import sys
from compliance.otel import telemetry_from_environment
assert telemetry_from_environment({}) is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_nothing_is_imported_when_nothing_is_asked_for() -> None:
    ran = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


HANGS = """
import sys
from compliance.events import SessionStarted
from compliance.otel import telemetry_from_environment
telemetry = telemetry_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]})
telemetry.observe(1, SessionStarted("s", "1", "m", "/", "/", "x", "y"))
telemetry.close()
"""


def test_a_process_ends_though_its_collector_hangs() -> None:
    with collector(delay=20) as server:
        start = time.monotonic()
        ran = subprocess.run(
            [sys.executable, "-c", HANGS, server.url], capture_output=True, text=True, check=True
        )
        assert time.monotonic() - start < 10
        assert (ran.stdout, ran.stderr) == ("", "")
