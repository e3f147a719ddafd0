"""Telemetry reaches a real HTTP server as OTLP, and a collector that fails costs the caller nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from compliance.events import Decided, SessionStarted
from compliance.otel.settings import Signal
from compliance.otel.telemetry import Telemetry, telemetry_from_environment
from compliance.semconv import SCHEMA_URL, SCOPE
from compliance.sink import ModelCall
from execpolicy.decision import Decision

pytest.importorskip("opentelemetry.sdk")
pytest.importorskip("opentelemetry.exporter.otlp.proto.common")

from collectors import STORY, attributes, collector, grpc_collector, liar, verdict


def started(env: dict[str, str], version: str = "1.2") -> Telemetry:
    warnings: list[str] = []
    telemetry = telemetry_from_environment(env, warnings.append, version)
    assert telemetry is not None, warnings
    assert warnings == []
    return telemetry


def tell(telemetry: Telemetry) -> tuple[str | None, str]:
    """The whole story, with a request to the model in it. What a child and the model service are handed."""
    child: str | None = None
    asked = ""
    for seq, event in enumerate(STORY, 1):
        if isinstance(event, Decided):
            telemetry.judged(event.tool, event.subject, 0.2 if seq == 8 else 0.0001, "ask")
        telemetry.observe(seq, event)
        if seq == 3:
            child = telemetry.traceparent("s1", "c1")
            asked = telemetry.requested("s1")
            call = ModelCall(session="s1", model="model-x", seconds=0.5, input_tokens=7, output_tokens=3)
            telemetry.model_called(replace(call, traceparent=asked))
    return child, asked


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_a_session_becomes_spans_events_and_metrics(protocol: str) -> None:
    if protocol == "grpc":
        pytest.importorskip("grpc")
    env = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test%20bed",
        "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "TRACESTATE": "vendor=1",
    }
    with grpc_collector() if protocol == "grpc" else collector() as server:
        telemetry = started({**env, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url})
        child, asked = tell(telemetry)
        telemetry.close()
        assert (telemetry.trouble, telemetry.lost) == ("", 0)
        taken = server if protocol == "grpc" else server.taken
        headers = server.metadata if protocol == "grpc" else [found for _, found, _ in server.taken.raw]
    assert {found["x-tenant"] for found in headers} == {"a b"}
    spans, events, metrics = taken.spans(), taken.events(), taken.metrics()
    agent, chat = spans.pop("invoke_agent agent"), spans.pop("chat model-x")
    command, patch, denied = (
        spans[f"execute_tool {tool}"] for tool in ("exec_command", "apply_patch", "other_tool")
    )
    assert agent.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert (agent.parent_span_id.hex(), agent.trace_state) == ("b7ad6b7169203331", "vendor=1")
    for span in (command, patch, denied, chat):
        assert (span.trace_id, span.parent_span_id) == (agent.trace_id, agent.span_id)
    assert child == f"00-{command.trace_id.hex()}-{command.span_id.hex()}-01"
    assert asked == f"00-{chat.trace_id.hex()}-{chat.span_id.hex()}-01"
    assert attributes(command) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "exec_command",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": "s1",
        "gen_ai.agent.name": "agent",
        "process.executable.name": "git",
        "process.executable.path": "/usr/bin/git",
        "process.working_directory": "/repo",
        "process.exit.code": 3,
        "error.type": "failed",
        "agent.sandbox.name": "bubblewrap",
        "agent.tool.output.size": 10,
        "agent.audit.seq": 3,
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
    assert round((chat.end_time_unix_nano - chat.start_time_unix_nano) / 1e8) == 5
    assert [event.event_name for event in events] == [
        "agent.policy.bundle",
        "agent.policy.decision",
        "agent.policy.approval",
        "agent.policy.decision",
        "agent.policy.decision",
        "agent.audit.gap",
    ]
    decided, approved = attributes(events[1]), attributes(events[2])
    assert (decided["agent.audit.seq"], decided["session.id"]) == (3, "s1")
    assert events[1].span_id == events[2].span_id == command.span_id
    assert approved["agent.policy.approval"] == "granted"
    assert len(approved["agent.policy.approver.hash"]) == 32
    assert taken.counts() == {
        "agent.policy.decisions": 3,
        "agent.policy.approvals": 1,
        "agent.audit.gaps": 1,
        "agent.audit.lost": 0,
    }
    judged = metrics["agent.policy.eval.duration"].histogram.data_points
    assert sum(point.count for point in judged) == 3
    tokens = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes(point)["gen_ai.token.type"]: point.sum for point in tokens} == {
        "input": 7,
        "output": 3,
    }
    assert metrics["gen_ai.client.operation.duration"].histogram.data_points[0].sum == 0.5
    (scope,) = taken.of(Signal.TRACES)[0].resource_spans[0].scope_spans
    assert (scope.scope.name, scope.scope.version, scope.schema_url) == (SCOPE, "1.2", SCHEMA_URL)
    resource = attributes(taken.of(Signal.LOGS)[0].resource_logs[0].resource)
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("policy-agent", "test bed")
    everything = b"".join(message.SerializeToString() for _, message in taken.requests)
    assert b"--token" not in everything
    assert b"ann" not in everything


def test_a_decision_has_a_span_where_somebody_waited_for_it() -> None:
    with collector() as server:
        telemetry = started({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{server.url}/v1/traces"})
        tell(telemetry)
        telemetry.close()
        found = [
            span
            for message in server.taken.of(Signal.TRACES)
            for span in message.resource_spans[0].scope_spans[0].spans
            if span.name == "policy_decision"
        ]
        spans = server.taken.spans()
    asked, slow = found
    assert asked.parent_span_id == spans["execute_tool exec_command"].span_id
    assert attributes(asked)["agent.policy.approval"] == "granted"
    assert slow.parent_span_id == spans["execute_tool other_tool"].span_id
    assert round((slow.end_time_unix_nano - slow.start_time_unix_nano) / 1e6) == 200


@pytest.mark.parametrize(
    ("env", "sampled"),
    [
        ({}, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False),
        ({"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}, False),
        (
            {
                "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
                "OTEL_TRACES_SAMPLER": "always_on",
            },
            True,
        ),
    ],
)
def test_a_trace_is_sent_whole_or_not_at_all(env: dict[str, str], sampled: bool) -> None:
    with collector() as server:
        telemetry = started({**env, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url})
        child, _ = tell(telemetry)
        telemetry.close()
        assert child is not None
        assert child.endswith("-01" if sampled else "-00")
        assert bool(server.taken.spans()) is sampled
        assert len(server.taken.events()) == 6  # events and metrics are not sampled
        assert server.taken.counts()["agent.policy.decisions"] == 3


def test_without_spans_the_events_tell_everything() -> None:
    with collector() as server:
        telemetry = started({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{server.url}/v1/logs"})
        child, asked = tell(telemetry)
        telemetry.close()
        assert (child, asked) == (None, "")
        names = [event.event_name for event in server.taken.events()]
    assert len(names) == len(STORY)
    assert (names[0], names[-1]) == ("agent.session.start", "agent.session.end")


def test_names_that_may_still_change_are_sent_only_to_who_opts_in() -> None:
    found = []
    for opted in ("", "http,gen_ai_latest_experimental"):
        with collector() as server:
            env = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "OTEL_SEMCONV_STABILITY_OPT_IN": opted}
            telemetry = started(env)
            tell(telemetry)
            telemetry.close()
            found.append(attributes(server.taken.events()[1]))
    without, with_them = found
    assert not any(name.startswith("gen_ai.security.") for name in without)
    assert with_them["gen_ai.security.verdict.type"] == with_them["agent.policy.decision"] == "ask"
    assert with_them["gen_ai.security.policy.rule.id"] == "git.push"


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
        command = attributes(server.taken.spans()["execute_tool exec_command"])
        assert command["gen_ai.tool.call.arguments"] == "git push --token abc"
        assert {path for path, _, _ in server.taken.raw} == {"/own/v1/traces"}


def endless(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def dribbling(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.recv(1)  # until the other side ends it


def resetting(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def garbage(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    connection.sendall(b"\x16\x03\x01\xff\xff" * 1000)


def portal(connection: socket.socket) -> None:
    connection.recv(1 << 20)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Type: text/html\r\n\r\n<html>")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("behave", [endless, dribbling, silent, resetting, garbage, portal])
def test_a_lying_collector_costs_the_data_and_says_so(
    behave: Callable[[socket.socket], None], scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with liar(behave) as url:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url.replace("http", scheme),
            "OTEL_EXPORTER_OTLP_TIMEOUT": "400",
            "OTEL_BSP_SCHEDULE_DELAY": "1",
        }
        telemetry = started(env)
        tell(telemetry)
        telemetry.close()  # the liar goes on: this ends because nobody listens any more
    assert telemetry.lost == 6 + 7  # events, spans
    assert telemetry.trouble.startswith("telemetry could not be sent (13 spans and events were lost)")
    assert capfd.readouterr() == ("", "")


def test_what_a_collector_throws_away_is_lost() -> None:
    answer = b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too\\nmuch"}}'
    with collector(answer=answer, kind="application/json") as server:
        telemetry = started({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{server.url}/v1/logs"})
        tell(telemetry)
        telemetry.close()
    assert telemetry.lost == 2
    assert "too much" in telemetry.trouble


def test_what_was_not_taken_at_first_is_sent_again() -> None:
    with collector() as server:
        server.statuses = [(503, "0"), (429, "0"), (502, "0"), (504, "0")]
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "OTEL_METRICS_EXPORTER": "none"}
        telemetry = started({**env, "OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_BLRP_SCHEDULE_DELAY": "1"})
        tell(telemetry)
        end = time.monotonic() + 20
        while len(server.taken.events()) < 6 or len(server.taken.spans()) < 5:
            assert time.monotonic() < end
            time.sleep(0.01)
        telemetry.close()
        assert (telemetry.lost, telemetry.trouble) == (0, "")


def test_grpc_is_tried_again_and_what_it_throws_away_is_lost() -> None:
    grpc = pytest.importorskip("grpc")
    with grpc_collector() as server:
        server.fail = [grpc.StatusCode.UNAVAILABLE]
        server.rejected = 2
        env = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": server.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        telemetry = started({**env, "OTEL_BLRP_SCHEDULE_DELAY": "1"})
        tell(telemetry)
        end = time.monotonic() + 20
        while len(server.events()) < len(STORY):
            assert time.monotonic() < end
            time.sleep(0.01)
        telemetry.close()
    assert telemetry.lost >= 2
    assert "too much" in telemetry.trouble


def test_one_that_does_not_fit_takes_no_other_with_it() -> None:
    with collector() as server:
        server.statuses = [(413, ""), (200, ""), (413, ""), (200, ""), (413, "")]
        env = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{server.url}/v1/logs"}
        telemetry = started({**env, "OTEL_BLRP_SCHEDULE_DELAY": "60000"})
        tell(telemetry)
        telemetry.close()
        assert len(server.taken.events()) + telemetry.lost == len(STORY)
        assert telemetry.lost < 3


@pytest.mark.parametrize(("status", "delay"), [(500, 0), (503, 0), (400, 0), (200, 5), (0, 0)])
def test_a_bad_collector_delays_nothing_and_prints_nothing(
    status: int, delay: float, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    speaking: set[int] = set()  # threads that used the network

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            speaking.add(threading.get_ident())
            return real(*args)

        return call

    for name in ("connect", "sendall", "send", "recv_into"):
        monkeypatch.setattr(socket.socket, name, watched(getattr(socket.socket, name)))
    with collector(status, delay) as server:
        url = server.url if status else "http://127.0.0.1:1"
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        for number in range(3000):  # more than the queue holds
            telemetry.observe(number, STORY[7])
            telemetry.observe(number, STORY[8])
        telemetry.close()
        assert speaking
        assert threading.get_ident() not in speaking, "who observes waited for the collector"
        assert telemetry.lost > 3000
        assert "telemetry could not be sent" in telemetry.trouble
        telemetry.observe(1, STORY[0])
        telemetry.close()
    assert capfd.readouterr() == ("", "")


def test_many_sessions_and_threads_share_one_telemetry() -> None:
    with collector() as server:
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": server.url, "OTEL_METRICS_EXPORTER": "none"})

        def session(name: str) -> None:
            for seq, event in enumerate(STORY, 1):
                telemetry.observe(seq, replace(event, session=name))

        threads = [threading.Thread(target=session, args=(f"t{number}",)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        telemetry.close()
        assert telemetry.lost == 0
        assert len(server.taken.events()) == 20 * 6
        traces = {
            span.trace_id
            for message in server.taken.of(Signal.TRACES)
            for span in message.resource_spans[0].scope_spans[0].spans
        }
        assert len(traces) == 20


def test_bytes_that_are_no_text_spoil_nothing() -> None:
    with collector() as server:
        telemetry = started({"OTEL_EXPORTER_OTLP_ENDPOINT": server.url})
        odd = "a\udcff\ud800b"
        telemetry.observe(1, SessionStarted(odd, odd, odd, odd, odd, odd, odd, user=odd))
        telemetry.observe(2, Decided(odd, odd, odd, odd, odd, verdict(Decision.DENY)))
        telemetry.close()
        assert telemetry.trouble == ""
        assert len(server.taken.events()) == 1


FORKS = """
import os, sys
from compliance.events import SessionStarted
from compliance.otel.telemetry import telemetry_from_environment
telemetry = telemetry_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1], "OTEL_METRICS_EXPORTER": "none"})
telemetry.observe(1, SessionStarted("s", "1", "m", "/", "/", "x", "y"))
child = os.fork()
telemetry.observe(2, SessionStarted(f"after-{child == 0}", "1", "m", "/", "/", "x", "y"))
telemetry.close()
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert telemetry.lost == 0, telemetry.trouble
"""


def test_a_fork_of_us_sends_nothing_twice_and_hangs_nowhere() -> None:
    with collector() as server:
        subprocess.run([sys.executable, "-c", FORKS, server.url], check=True, timeout=60)
        found = [
            attributes(span)["session.id"]
            for message in server.taken.of(Signal.TRACES)
            for span in message.resource_spans[0].scope_spans[0].spans
        ]
    assert sorted(found) == ["after-False", "s"]


BARE = """
import sys
from compliance.otel.telemetry import telemetry_from_environment
assert telemetry_from_environment({}) is None
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_nothing_is_imported_when_nothing_is_asked_for() -> None:
    ran = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


HANGS = """
import sys
from compliance.events import SessionStarted
from compliance.otel.telemetry import telemetry_from_environment
telemetry = telemetry_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]})
telemetry.observe(1, SessionStarted("s", "1", "m", "/", "/", "x", "y"))
telemetry.close()
"""


def test_a_process_ends_though_its_collector_hangs() -> None:
    with liar(silent) as url:
        ran = subprocess.run([sys.executable, "-c", HANGS, url], capture_output=True, text=True, check=True)
        assert (ran.stdout, ran.stderr) == ("", "")
