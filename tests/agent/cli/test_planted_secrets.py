"""A whole run with a corpus of secrets in it: none is in the record, in traces, in exports or on the terminal."""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from planted import TOKENS, TOLD

from agent.llm.scripted import Calls, CallsCustom, Output, Says, ScriptedServer, replay, respond

VALUE = "k7-Qz/9f+Wd=2mXb_81LpR.tY"
SHIFTED = base64.b64encode(b"xy" + VALUE.encode() + b"z").decode()
ENCODED = {  # as it is written -> what of it must not be seen
    **dict.fromkeys(
        (VALUE, base64.b64encode(VALUE.encode()).decode(), VALUE.encode().hex(), VALUE[::-1]), ""
    ),
    SHIFTED: SHIFTED[6:-6],
}
SECRETS = tuple(
    dict.fromkeys((*TOKENS.values(), *TOLD.values(), *(core or text for text, core in ENCODED.items())))
)
RULES = f"""
prefix_rule(pattern = [["echo", "cat", "printf"]], decision = "allow")
prefix_rule(pattern = ["rm"], decision = "deny", justification = "leave {TOKENS["stripe"]} alone", suggest = "ask ann")
path_rule(paths = ["$WORKSPACE/**"], access = ["write"], decision = "allow")
"""


class Collector(BaseHTTPRequestHandler):
    taken: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[str]:
    Collector.taken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def command(text: str) -> Calls:
    return Calls("exec_command", {"cmd": text})


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def outputs() -> Iterator[Output]:
    """Calls and words of a model that knows every secret."""
    yield command(f"echo {quoted(' '.join(TOKENS.values()))}")
    for text in TOLD:
        yield command(f"echo {quoted(text)}")
    for text in ENCODED:
        yield command(f"printf '%s\\n' {quoted(text)}")
    yield command(f"cat <<EOF\nkey {TOKENS['gitlab']}\nEOF")
    yield command(f"printf '%s%s\\n' {TOKENS['npm'][:20]} {TOKENS['npm'][20:]}")
    yield command(f"rm /srv/{TOKENS['slack']}.tar")
    yield command(f"touch {TOKENS['google']}")
    yield Calls("no_such_tool", {"password": TOKENS["vault"]})
    yield CallsCustom(
        "apply_patch",
        f"*** Begin Patch\n*** Add File: a.py\n+K = '{TOKENS['pypi']}'\n+V = '{VALUE}'\n*** End Patch",
    )


def seen(name: str, text: str) -> list[str]:
    return [f"{name}: {secret}" for secret in SECRETS if secret in text]


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_no_planted_secret_is_seen(tmp_path: Path, collector: str, as_json: bool) -> None:
    pytest.importorskip("opentelemetry.sdk")
    home, project, rules = tmp_path / "home", tmp_path / "project", tmp_path / "a.rules"
    project.mkdir()
    rules.write_text(RULES)
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI", "AGENT", "OTEL"))
    }
    environ = clean | {
        "AGENT_HOME": str(home),
        "OPENAI_API_KEY": TOKENS["openai"],
        "MY_SIGNING_KEY": VALUE,
        "NO_COLOR": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "50",  # while it runs: at the end the flush is bounded
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-auth={TOKENS['sendgrid']}",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "agent", *words],
            capture_output=True,
            text=True,
            timeout=110,
            cwd=project,
            env=environ,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    said = Says(f"I use {TOKENS['github']} and {VALUE}.")
    steps = [respond(said, one) for one in outputs()]  # a word alone would end the task
    steps.append(respond(Says(f"Done with {TOKENS['jwt']} and {VALUE}.")))
    with ScriptedServer(replay(steps)) as server:
        url = server.base_url.replace("://", f"://ann:{TOKENS['docker']}@")
        options = ["--json", "-c", "redact.output=all"] if as_json else []
        words = ["--base-url", url, "--policy", str(rules), "-s", "full-access", *options]
        done = run("exec", *words, f"deploy with {TOKENS['aws-id']} and {VALUE}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "[masked:" in done.stdout + done.stderr
    failed = run("exec", "--base-url", f"http://ann:{TOKENS['docker']}@127.0.0.1:1/v1", "-c", "stream_max_retries=0",
                 "-c", "request_max_retries=0", "hello")  # fmt: skip
    assert failed.returncode == 1
    listed = run("sessions", "list")
    session = next(line for line in reversed(listed.stdout.splitlines()) if "deploy" in line).split()[0]
    exports = {form: run("sessions", "export", session, "-f", form) for form in ("jsonl", "markdown")}
    record = b"".join(path.read_bytes() for path in (home / "audit").iterdir() if path.name != "mask.keys")
    traces = b"".join(Collector.taken)
    assert b"exec_command" in record
    assert b"exec_command" in traces
    for export in exports.values():
        assert export.returncode == 0, export.stderr
        assert "[masked:" in export.stdout
    places = {
        "standard output": done.stdout,
        "standard error": done.stderr,
        "an error": failed.stdout + failed.stderr,
        "the record": record.decode(errors="replace"),
        "a trace": traces.decode(errors="replace"),
        "the list": listed.stdout + run("sessions", "list", "--json").stdout,
        "a search": run("sessions", "search", "deploy with").stdout,
        "the audit log": run("audit", "show").stdout,
        "a setting": run("config", "show", "--origin").stdout,
        **{f"the export as {form}": export.stdout + export.stderr for form, export in exports.items()},
    }
    assert [found for name, text in places.items() for found in seen(name, text)] == []
