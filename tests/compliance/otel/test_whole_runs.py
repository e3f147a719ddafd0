"""Whole runs of the command: what a collector gets, however the run ends, and what the record says of the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.llm.scripted import Calls, Fail, Says, ScriptedServer, Step, replay, respond

pytest.importorskip("opentelemetry.sdk")

from collectors import Collector, attributes, collector

CANARY = "sk-canary-7d41b09e2f"
SECRET = "tok-canary-55aa10ff93"
RULES = """
prefix_rule(pattern = [["echo", "sleep", "env"]], decision = "allow")
prefix_rule(pattern = ["touch"], decision = "ask")
prefix_rule(pattern = ["rm"], decision = "deny", justification = "nothing is removed")
"""


def runs(text: str) -> Step:
    return respond(Calls("exec_command", {"cmd": text}))


@contextmanager
def model(*steps: Step) -> Iterator[ScriptedServer]:
    with ScriptedServer(replay(steps)) as server:
        yield server


class Place:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        (root / "project").mkdir()
        (root / "a.rules").write_text(RULES)

    def start(self, server: ScriptedServer, env: dict[str, str]) -> subprocess.Popen[str]:
        clean = {
            n: v for n, v in os.environ.items() if not n.startswith(("OPENAI", "AGENT", "OTEL", "TRACE"))
        }
        clean |= {
            "AGENT_HOME": str(self.home),
            "OPENAI_API_KEY": CANARY,
            "NO_COLOR": "1",
            "DB_PASSWORD": SECRET,
        }
        argv = [sys.executable, "-I", "-m", "agent", "--base-url", server.base_url]
        argv += ["--policy", str(self.root / "a.rules"), "-s", "full-access", "exec", "--json", "go"]
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root / "project",
            env=clean | env,
        )

    def run(self, server: ScriptedServer, env: dict[str, str]) -> tuple[int, str, str]:
        with self.start(server, env) as process:
            try:
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
        assert "Traceback" not in out + err
        return process.returncode, out, err

    def records(self) -> list[dict[str, object]]:
        lines = (self.home / "audit").glob("records-*.jsonl")
        return [json.loads(line)["event"] for path in lines for line in path.read_text().splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def env_of(server: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": server.url}


def test_one_trace_goes_through_everything_and_no_secret_with_it(place: Place) -> None:
    above = "0af7651916cd43dd8448eb211c80319c"
    steps = (
        runs("env"),
        runs(f"echo {SECRET} --password {CANARY}"),
        runs("rm x"),
        respond(Says("done")),
    )
    with collector() as server, model(*steps) as service:
        env = {**env_of(server), "TRACEPARENT": f"00-{above}-b7ad6b7169203331-01"}
        env |= {
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
            "AGENT_OTEL_COMMAND_ARGS": "true",
        }
        status, out, err = place.run(service, env)
        assert status == 0, err
        taken = server.taken
        asked = [headers["traceparent"] for headers in service.headers]
    spans = [
        span
        for message in taken.requests
        if hasattr(message[1], "resource_spans")
        for span in message[1].resource_spans[0].scope_spans[0].spans
    ]
    assert {span.trace_id.hex() for span in spans} == {above}
    chats = {f"00-{above}-{span.span_id.hex()}-01" for span in spans if span.name.startswith("chat ")}
    assert set(asked) == chats
    calls = [span for span in spans if span.name == "execute_tool exec_command"]
    by_program = {attributes(span)["process.executable.name"]: span for span in calls}
    assert f"TRACEPARENT=00-{above}-{by_program['env'].span_id.hex()}-01" in out
    assert attributes(by_program["rm"])["agent.policy.decision"] == "deny"
    assert attributes(by_program["echo"])["process.command_args"][0] == "echo"
    assert taken.counts()["agent.policy.decisions"] == 3
    assert taken.metrics()["agent.policy.eval.duration"].histogram.data_points
    assert taken.metrics()["agent.policy.bundle.age"].gauge.data_points
    everything = b"".join(body for _, _, body in taken.raw)
    assert SECRET.encode() not in everything
    assert CANARY.encode() not in everything
    assert b"[masked:" in everything


def test_a_run_that_fails_is_told_too(place: Place) -> None:
    with collector() as server, model(Fail(400, "no")) as service:
        status, _, _ = place.run(service, env_of(server))
        assert status == 1
        spans = server.taken.spans()
    chat = next(span for name, span in spans.items() if name.startswith("chat "))
    assert attributes(chat)["error.type"] == "ModelError"
    assert "invoke_agent agent" in spans


def test_a_run_that_is_ended_is_told_too(place: Place) -> None:
    with (
        collector() as server,
        model(runs("echo on; sleep 30"), respond(Says("no"))) as service,
    ):
        with place.start(service, env_of(server)) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "command_execution" in line:
                    break
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        spans = server.taken.spans()
    assert "invoke_agent agent" in spans
    assert attributes(spans["execute_tool exec_command"])["error.type"] == "interrupted"


def test_what_no_collector_has_is_in_the_record_and_said_once(place: Place) -> None:
    with model(runs("echo hi"), respond(Says("done"))) as service:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
        status, out, err = place.run(service, env)
    assert status == 0
    assert (out + err).count("telemetry could not be sent") == 1
    (gap,) = [event for event in place.records() if event["kind"] == "gap"]
    assert "lost" in gap.values()
    assert gap["count"]
    assert [event["kind"] for event in place.records()].count("decided") == 1


def test_without_a_network_it_goes_into_files(place: Place) -> None:
    env = {f"OTEL_{signal}_EXPORTER": "otlp_file" for signal in ("TRACES", "LOGS", "METRICS")}
    with model(runs(f"echo {SECRET}"), respond(Says("done"))) as service:
        status, _, err = place.run(service, env)
    assert status == 0
    assert "telemetry" not in err
    files = sorted((place.home / "telemetry").iterdir())
    assert [path.name.partition("-")[0] for path in files] == ["logs", "metrics", "traces"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert SECRET not in "".join(path.read_text() for path in files)
