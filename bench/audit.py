"""The audit log: appending, verifying, querying, redacting, exporting.

    python bench/audit.py [RECORDS [READ]]

RECORDS are appended for the first table; a log of READ (0: those alone) is written as the agent does, then read.
Beside each, in the same run, the least that the machine itself asks: the same lines appended to a plain file,
and the same bytes read and hashed.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from measure import table

from compliance.checkpoint import Roots
from compliance.events import Asked, CommandRead, Decided, LookedUp, Outcome, Ran, Refused
from compliance.log import AuditLog
from compliance.otel.telemetry import Telemetry, telemetry_from_environment
from compliance.query import Filter, entries
from compliance.redact import Redactor
from compliance.segments import snapshot, verify
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

DURABLE = 300
ROUNDS = 5


def decided(decision: Decision, session: str = "0198-session", call: str = "call_12") -> Decided:
    """What one usual call is recorded as: a pipeline of three commands, a rule for each."""
    rule = RuleMatch(
        rule_id="base.read-only" if decision is Decision.ALLOW else "base.no",
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "/home/ann/.agent/rules/base.rules", 12),
        justification="reads only",
        words=("status",),
        controls=("soc2:CC6.1",),
    )
    texts = ("git status --short", "grep -v tmp", "head -20")
    parts = tuple(Part(kind="command", text=text, decision=decision, matches=(rule,)) for text in texts)
    verdict = Verdict(decision=decision, parts=parts)
    return Decided(
        session,
        call,
        "exec_command",
        " | ".join(texts),
        "/home/ann/work",
        verdict,
        would=decision.word,
        agent="main",
        model="gpt-5",
        approval="user",
        policy="ab" * 32,
        situation="cd" * 8,
        today="2026-11-24",
        minute=600,
        asked=Asked(form="script"),
        commands=tuple(CommandRead(argv=tuple(text.split())) for text in texts),
        lookups=tuple(
            LookedUp("program", text.split()[0], "/home/ann/work", f"/usr/bin/{text.split()[0]}")
            for text in texts
        ),
    )


def ran(session: str, call: str) -> Ran:
    return Ran(session, call, 0, Outcome.COMPLETED, 0.5, "0" * 64, 100, "bubblewrap")


def each(count: int, work: Callable[[], object]) -> list[float]:
    """Microseconds of one piece of work, measured ROUNDS times over `count`."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            work()
        found.append((time.perf_counter() - start) / count * 1e6)
    return found


def append(folder: Path, count: int) -> None:
    allow, deny = decided(Decision.ALLOW), decided(Decision.DENY)
    outcome = ran("0198-session", "call_12")
    log = AuditLog(folder / "audit")
    log.record(allow)
    line = next((folder / "audit").glob("records-*")).read_bytes()
    plain = os.open(folder / "plain", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def plain_and_sync() -> None:
        os.write(plain, line)
        os.fdatasync(plain)

    baseline = f"plain append of {len(line)} bytes"
    times = {
        baseline: each(count // ROUNDS, lambda: os.write(plain, line)),
        "record a verdict, not synced (allow)": each(count // ROUNDS, lambda: log.record(allow)),
        "record an outcome, not synced": each(count // ROUNDS, lambda: log.record(outcome)),
        "plain append and fdatasync": each(DURABLE // ROUNDS, plain_and_sync),
        "record a verdict, synced (deny)": each(DURABLE // ROUNDS, lambda: log.record(deny)),
    }
    log.close()
    os.close(plain)
    table("append one record", times, baseline, "us")


def write(folder: Path, records: int) -> None:
    """A log as the agent writes it: verdict and outcome of each call, of fifty one denied and one asked about."""
    log = AuditLog(folder)
    for number in range(records // 2):
        session, call = f"0198-{number // 200:08x}", f"call_{number}"
        word = {7: Decision.DENY, 9: Decision.ASK}.get(number % 50, Decision.ALLOW)
        log.record(decided(word, session, call))
        log.record(ran(session, call))
    log.close()


def read(folder: Path) -> None:
    log = snapshot(folder)
    records = verify(log).records
    roots = Roots([records])

    def hashed() -> None:
        for path, _ in log.parts:
            with path.open("rb") as file:
                for line in file:
                    hashlib.sha256(line).digest()

    def found(wanted: Filter) -> Callable[[], object]:
        return lambda: sum(1 for _ in entries(log, wanted))

    work: dict[str, Callable[[], object]] = {
        "read and hash each line": hashed,
        "verify": lambda: verify(log),
        "verify, with the tree of a checkpoint": lambda: verify(log, watch=roots.feed),
        "show --decision deny": found(Filter(decision=Decision.DENY)),
        "show --rule base.no": found(Filter(rule="base.no")),
        "show --session ID": found(Filter(session="0198-00000002")),
        "show --call ID": found(Filter(call="call_700")),
        "show --program nosuch": found(Filter(program="nosuch")),
        "show --from (nothing)": found(Filter(since="9999")),
    }
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS if records < 200_000 else 3):
        for name, piece in work.items():
            start = time.perf_counter()
            piece()
            times[name].append((time.perf_counter() - start) / records * 1e6)
    table(f"read a log of {records} records, each", times, "read and hash each line", "us")
    whole = {name: [one * records / 1e6 for one in found] for name, found in times.items()}
    table(f"read a log of {records} records, all", whole, "read and hash each line", "s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process: {peak:.0f} MB; the log: {log.bytes / 1e6:.0f} MB")


def redact() -> None:
    event = decided(Decision.ALLOW)
    text = "curl -H 'Authorization: Bearer abcdef123456' https://example.com/x"
    secret = replace(event, subject=text)
    values = [f"value-of-secret-{number}" for number in range(10)]
    redactor = Redactor(values)
    times = {
        "join and lower the text": each(2000, lambda: (event.subject * 10).lower()),
        "no secret in it, 10 known values": each(2000, lambda: redactor.event(event)),
        "a secret in it": each(500, lambda: redactor.event(secret)),
        "a patch of 100 KB": each(3, lambda: redactor.text("+    value = compute(line)\n" * 3800)),
    }
    table("redact one event", times, "join and lower the text", "us")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def export() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    decision, end = decided(Decision.ALLOW), Refused("0198-session", "call_12", "no")
    times: dict[str, list[float]] = {"an empty call": each(100, lambda: None)}
    for name, where in (("collector answers", url), ("nobody listens", "http://127.0.0.1:1")):
        telemetry = telemetry_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": where}, print)
        if telemetry is None:
            return

        def one(telemetry: Telemetry = telemetry) -> None:
            telemetry.observe(1, decision)
            telemetry.observe(2, end)

        times[f"decision and outcome, {name}"] = each(100, one)
        telemetry.close()
    server.shutdown()
    table("hand one call to OpenTelemetry", times, "an empty call", "us")


def main(records: int, reading: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        append(folder, records)
        if reading:
            write(folder / "long", reading)
        read(folder / ("long" if reading else "audit"))
    redact()
    export()


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(given[0] if given else 50_000, given[1] if len(given) > 1 else 0)
