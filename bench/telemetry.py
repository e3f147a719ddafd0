"""What telemetry adds to one call: nothing, a collector that answers, one that is slow, none, files.

    python bench/telemetry.py

Each row is one call as the dispatcher tells it: timed, decided, ended. The slowest of a hundred calls tells whether
anybody ever waits for a collector.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from audit import decided
from measure import table

from compliance.events import Outcome, Ran
from compliance.log import AuditLog
from compliance.otel.telemetry import Telemetry, telemetry_from_environment
from compliance.redact import Redactor
from compliance.sink import FanOut
from execpolicy.decision import Decision

ROUNDS = 9
CALLS = 200
PAUSE = 0.01  # the least between two calls: a command is started and a model is asked


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    delay = 0.0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.delay)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def serve(seconds: str) -> None:
    """In a process of its own, as a collector is."""
    Handler.delay = float(seconds)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


def served(stack: contextlib.ExitStack, seconds: float) -> str:
    argv = [sys.executable, __file__, "serve", str(seconds)]
    process = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    assert process.stdout is not None
    return f"http://127.0.0.1:{process.stdout.readline().strip()}"


def calls(sink: FanOut, telemetry: Telemetry | None) -> list[float]:
    """Microseconds of each of some calls."""
    found = []
    decision = decided(Decision.ALLOW)
    end = Ran("0198-session", "call_12", 0, Outcome.COMPLETED, 0.01, "0" * 64, 10, "bubblewrap")
    for _ in range(CALLS):
        start = time.perf_counter()
        if telemetry is not None:
            telemetry.judged(decision.tool, decision.subject, 0.0001, "allow")
        sink.record(decision)
        if telemetry is not None:
            telemetry.traceparent("0198-session", "call_12")
        sink.record(end)
        found.append((time.perf_counter() - start) * 1e6)
        time.sleep(PAUSE)
    return found


def main() -> None:
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(name)
        fast, slow, dead = served(stack, 0), served(stack, 3), "http://127.0.0.1:1"
        ways: dict[str, Mapping[str, str]] = {
            "no telemetry": {},
            "collector answers": {"OTEL_EXPORTER_OTLP_ENDPOINT": fast},
            "collector takes 3 s": {"OTEL_EXPORTER_OTLP_ENDPOINT": slow},
            "nobody listens": {"OTEL_EXPORTER_OTLP_ENDPOINT": dead},
            "into files": {
                **{f"OTEL_{signal}_EXPORTER": "otlp_file" for signal in ("TRACES", "LOGS", "METRICS")},
                "AGENT_OTLP_FILE_DIR": f"{name}/otlp",
            },
        }
        medians: dict[str, list[float]] = {way: [] for way in ways}
        late: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(ROUNDS):
            for at, (way, env) in enumerate(ways.items()):
                telemetry = telemetry_from_environment(env, print)
                watching = () if telemetry is None else (telemetry,)
                record = AuditLog(folder / f"audit-{number}-{at}")
                sink = FanOut(Redactor().event, record, *watching)
                times = calls(sink, telemetry)
                medians[way].append(statistics.median(times))
                late[way].append(statistics.quantiles(times, n=100)[98])
                record.close()
                if telemetry is not None:
                    telemetry.close()
        table("record one call, median of 200", medians, "no telemetry", "us")
        table("record one call, the slowest of 100", late, "no telemetry", "us")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
