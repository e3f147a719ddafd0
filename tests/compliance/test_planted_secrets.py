"""Planted secrets are in no byte that is written or sent, whatever event carries them."""

from __future__ import annotations

import base64
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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
from compliance.log import AuditLog
from compliance.otel import telemetry_from_environment
from compliance.redact import Redactor
from compliance.sink import FanOut
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

KNOWN = "Kn0wn/value+of=the environment"
ENCODED = base64.b64encode(b"user:" + KNOWN.encode()).decode()
PLANTED = {  # text that carries it -> what must not be seen
    f"printf %s '{KNOWN}'": KNOWN,
    f"echo {ENCODED} | base64 -d": ENCODED[8:-6],
    f"xxd -r <<< {KNOWN.encode().hex()}": KNOWN.encode().hex(),
    "curl -H 'Authorization: Bearer tok.en-12345' https://api.example/x": "tok.en-12345",
    "git push https://ann:pa55w0rd@git.example/r": "pa55w0rd",
    "DB_PASSWORD=s3same-open ./run": "s3same-open",
    "deploy --api-key qwerty-0987": "qwerty-0987",
    "*** Add File: .env\n+GITHUB_TOKEN=ghp_0123456789abcdefghijABCDEFGHIJ012345": "0123456789abcdefghij",
    "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBLb\n-----END EC PRIVATE KEY-----": "MHcCAQEEIBLb",
}


class Sink(BaseHTTPRequestHandler):
    taken: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def events(text: str, secret: str) -> list[AuditEvent]:
    """The text in every field that a user, a model or a program can fill."""
    rule = RuleMatch(
        rule_id="r",
        decision=Decision.ASK,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, text, 1),
        justification=text,
        suggest=text,
        words=(secret, text),
    )
    part = Part(
        kind="command",
        text=text,
        decision=Decision.ASK,
        matches=(rule,),
        unknowns=(text,),
        via=(text,),
        why=text,
    )
    verdict = Verdict(decision=Decision.ASK, parts=(part,), unknowns=(text,), suggest=text, nearest=text)
    return [
        SessionStarted("s", "1", text, text, text, "workspace-write", "user", user=text, host=text),
        PolicyLoaded("s", (PolicyFile(text, "user", "d", True),), (text,)),
        Decided("s", "c", text, text, text, verdict),
        Approved("s", "c", Reply.NO, text, text),
        Ran("s", "c", 0, Outcome.COMPLETED, 0.1, "0" * 64, 1, text),
        Patched("s", "c", (text,), Outcome.COMPLETED),
        Refused("s", "c", text),
        Gap("s", GapKind.LOST, text),
        SessionEnded("s", text),
    ]


def test_no_planted_secret_is_written_or_sent(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    Sink.taken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }
    telemetry = telemetry_from_environment(env)
    assert telemetry
    sink = FanOut(Redactor([KNOWN]).event, AuditLog(tmp_path), telemetry)
    for text, secret in PLANTED.items():
        assert secret in text
        for event in events(text, secret):
            sink.record(event)
    sink.close()
    server.shutdown()
    server.server_close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    sent = b"".join(Sink.taken)
    assert b"execute_tool" in sent
    for text, secret in PLANTED.items():
        assert (secret.encode() in written, text) == (False, text)
        assert (secret.encode() in sent, text) == (False, text)
    assert written.count(b"[masked:") > len(PLANTED) * 10
