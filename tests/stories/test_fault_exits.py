"""Each fault of a model service, met by the installed command: events, message, exit status, an intact record."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.llm.scripted import (
    Calls,
    CallsCustom,
    Drip,
    Fail,
    Respond,
    Says,
    ScriptedServer,
    Step,
    Stream,
    event_bytes,
    replay,
    respond,
    stream_of,
)
from agent.protocol.items import JsonObject

KEY = "sk-canary-77c1e0b2d9"
HELLO = respond(Says("hello"))
LONGEST = 20.0  # seconds that any run below may take
OURS = Path(sys.executable).with_name("agent")
COMMAND = [str(OURS)] if OURS.exists() else [sys.executable, "-I", "-m", "agent"]
SETTINGS = {
    "request_max_retries": 1,
    "stream_max_retries": 1,
    "connect_timeout_ms": 1000,
    "stream_idle_timeout_ms": 700,
    "turn_timeout_ms": 15_000,
}
RULES = 'prefix_rule(pattern = ["touch"], decision = "allow")\n'


@dataclass(frozen=True)
class Ended:
    status: int
    events: list[dict[str, Any]]
    seconds: float

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    @property
    def retries(self) -> int:
        return sum(event["message"].startswith("Reconnecting... ") for event in self.of("error"))

    @property
    def message(self) -> str:
        return str(self.of("turn.failed")[0]["error"]["message"])


@dataclass(frozen=True)
class Place:
    """A project, and a state folder of its own."""

    project: Path
    rules: Path
    home: Path

    def environ(self) -> dict[str, str]:
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OPENAI", "AGENT")) and not name.lower().endswith("_proxy")
        } | {"AGENT_HOME": str(self.home), "OPENAI_API_KEY": KEY, "NO_COLOR": "1"}

    def run(self, url: str, **more: int) -> Ended:
        """One run, which has to end in time and say nothing but JSON."""
        settings = [word for name, value in (SETTINGS | more).items() for word in ("-c", f"{name}={value}")]
        task = ["exec", "--json", "--base-url", url, "--policy", str(self.rules), *settings]
        started = time.monotonic()
        done = subprocess.run(
            [*COMMAND, *task, "-s", "full-access", "go"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            cwd=self.project,
            env=self.environ(),
        )
        seconds = time.monotonic() - started
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(isinstance(event, dict) and isinstance(event["type"], str) for event in events)
        assert "Traceback" not in done.stdout + done.stderr
        assert KEY not in done.stdout + done.stderr
        return Ended(done.returncode, events, seconds)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the state folders are. Afterwards every record in them has to be intact."""
    folder = tmp_path_factory.mktemp("homes")
    yield folder
    records = sorted(str(path) for path in folder.glob("*/audit"))
    verified = subprocess.run([*COMMAND, "audit", "verify", *records], capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert verified.stdout.count("intact: ") == len(records) == len(list(folder.iterdir()))


@pytest.fixture
def place(tmp_path: Path, homes: Path) -> Place:
    (tmp_path / "project").mkdir()
    (tmp_path / "a.rules").write_text(RULES)
    return Place(tmp_path / "project", tmp_path / "a.rules", homes / tmp_path.name)


def check_failed(ended: Ended, message: str, *, retries: int, help: str = "") -> None:
    """The end that every client of the event stream knows: an error, then a failed turn, nothing after it."""
    assert ended.status == 1
    assert [event["type"] for event in ended.events[:2]].count("thread.started") == 1
    assert len(ended.of("turn.started")) == 1
    assert [event["type"] for event in ended.events[-2:]] == ["error", "turn.failed"]
    assert ended.events[-2]["message"] == ended.message
    assert len(ended.of("turn.failed")) == 1
    assert not ended.of("turn.completed")
    assert ended.retries == retries
    assert message in ended.message
    assert help in ended.events[-1]["error"].get("help", "")


def check_done(ended: Ended, *, retries: int, said: list[str]) -> None:
    assert ended.status == 0, ended.events
    assert ended.events[-1]["type"] == "turn.completed"
    assert not ended.of("turn.failed")
    assert ended.retries == retries
    items = [event["item"] for event in ended.of("item.completed")]
    assert [item["text"] for item in items if item["type"] == "agent_message"] == said


# --- faults that stay -----------------------------------------------------------------------


def failed(code: str, message: str = "no luck") -> Stream:
    error: JsonObject = {"code": code, "message": message}
    return Stream(event_bytes({"type": "response.failed", "response": {"error": error}}))


def incomplete(reason: str) -> Stream:
    details: JsonObject = {"reason": reason}
    return Stream(event_bytes({"type": "response.incomplete", "response": {"incomplete_details": details}}))


def after(*headers: tuple[str, str]) -> Fail:
    return Fail(429, "slow down", headers=headers)


@dataclass(frozen=True)
class Row:
    step: Step
    message: str
    retries: int = 1  # every try but the first, where a further try may help
    help: str = ""
    seconds: float = 0.0  # that a run takes at the least
    more: dict[str, int] = field(default_factory=dict)  # settings


LIMIT = Fail(429, "limit", code="usage_limit_reached", more=(("resets_in_seconds", 7260),))
FAULTS = {
    "500": Row(Fail(500, "boom"), "answered 500: boom (gave up after 2 tries)"),
    "503": Row(Fail(503, "boom"), "answered 503: boom"),
    "429": Row(after(), "answered 429: slow down (gave up after 2 tries)"),
    "429-retry-after": Row(after(("retry-after", "2")), "answered 429: slow down", seconds=2.0),
    "429-retry-after-ms": Row(after(("retry-after-ms", "5")), "answered 429: slow down"),
    "429-words": Row(Fail(429, "try again in 1.5s"), "answered 429", seconds=1.5),
    "429-usage": Row(LIMIT, "429: limit (open again in 2 h 1 min)", retries=0, help="wait until"),
    "429-quota": Row(Fail(429, "pay", code="insufficient_quota"), "429: pay", retries=0, help="billing"),
    "400": Row(Fail(400, "bad field"), "answered 400: bad field", retries=0, help="--model"),
    "401": Row(
        Fail(401, f"wrong: {KEY}"), "answered 401: wrong: [the key]", retries=0, help="OPENAI_API_KEY"
    ),
    "403": Row(Fail(403, "not yours"), "answered 403: not yours", retries=0, help="no access"),
    "404": Row(Fail(404, "no such model"), "answered 404: no such model", retries=0, help="/v1"),
    "reset": Row(Respond((), end="cut"), "broke before the response was complete"),
    "eof": Row(Respond((), end="eof"), "ended before the response was complete"),
    "nothing": Row(Stream(b""), "ended before the response was complete"),
    "malformed": Row(Stream(b"data: {oops\n\ndata\n\n:\n\ndata: 7\n\n"), "ended before the response"),
    "unknown-events": Row(Stream(event_bytes({"type": "weather"})), "ended before the response"),
    "failed": Row(failed("server_error"), "no luck (gave up after 2 tries)"),
    "failed-rate": Row(failed("rate_limit_exceeded", "try again in 1.5s"), "try again in 1.5s", seconds=1.5),
    "failed-overloaded": Row(failed("server_is_overloaded"), "no luck"),
    "failed-quota": Row(failed("insufficient_quota"), "no luck", retries=0, help="billing"),
    "failed-context": Row(failed("context_length_exceeded"), "no luck", retries=0, help="new session"),
    "failed-prompt": Row(failed("invalid_prompt"), "no luck", retries=0, help="word it differently"),
    "failed-silent": Row(Stream(event_bytes({"type": "response.failed"})), "without a message"),
    "incomplete": Row(incomplete("max_output_tokens"), "max_output_tokens", retries=0, help="ask for less"),
    "filtered": Row(incomplete("content_filter"), "content_filter", help="word the task"),
    "error-event": Row(Stream(event_bytes({"type": "error", "code": None, "message": "top"})), "top"),
    "stall": Row(Respond((), end="stall"), "was silent for 0.7 s"),
    "comments-for-ever": Row(Drip(b": still here\n\n"), "was silent for 0.7 s"),
    "events-for-ever": Row(
        Drip(event_bytes({"type": "weather"})),
        "longer than 3 s",
        retries=0,
        seconds=3.0,
        more={"turn_timeout_ms": 3000},
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in FAULTS.items()])
def test_a_fault_that_stays(row: Row, place: Place) -> None:
    with ScriptedServer(lambda request: row.step) as server:
        ended = place.run(server.base_url, **row.more)
    check_failed(ended, row.message, retries=row.retries, help=row.help)
    assert len(server.requests) == row.retries + 1
    assert ended.seconds >= row.seconds


# --- faults that pass -----------------------------------------------------------------------

GARBAGE = b"data: {oops\n\n: comment\n\n" + event_bytes({"type": "weather", "x": 1})
CUT = Respond((Says("half"),), end="cut")
PASSING = {
    "500": (Fail(500, "boom"), ["hello"]),
    "429": (after(("retry-after", "0")), ["hello"]),
    "stall": (Respond((), end="stall"), ["hello"]),
    "cut-after-a-message": (CUT, ["half", "hello"]),
    "filtered": (incomplete("content_filter"), ["hello"]),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes(name: str, place: Place) -> None:
    step, said = PASSING[name]
    with ScriptedServer(replay([step, HELLO])) as server:
        check_done(place.run(server.base_url), retries=1, said=said)
    assert len(server.requests) == 2
    assert ("content_filter_guidance" in json.dumps(server.requests[1])) is (name == "filtered")


def test_noise_between_good_events_is_passed_over(place: Place) -> None:
    body = GARBAGE.join(stream_of(HELLO, "1"))
    with ScriptedServer(replay([Stream(body)])) as server:
        check_done(place.run(server.base_url), retries=0, said=["hello"])


def test_an_empty_response_ends_the_turn(place: Place) -> None:
    with ScriptedServer(replay([respond()])) as server:
        check_done(place.run(server.base_url), retries=0, said=[])


def test_a_call_before_the_cut_runs_once(place: Place) -> None:
    cut = Respond((Calls("exec_command", {"cmd": "touch once"}),), end="cut")
    with ScriptedServer(replay([cut, HELLO])) as server:
        ended = place.run(server.base_url)
    check_done(ended, retries=1, said=["hello"])
    commands = [event for event in ended.of("item.completed") if "exit_code" in event["item"]]
    assert [event["item"]["exit_code"] for event in commands] == [0]
    assert (place.project / "once").exists()
    assert _outputs(server) == 1


# --- calls that cannot be made --------------------------------------------------------------

WRONG = {
    "unknown": (Calls("launch_rocket", {"to": "moon"}), "launch_rocket"),
    "unknown-custom": (CallsCustom("launch_rocket", "moon"), "launch_rocket"),
    "no-json": (Calls("exec_command", "{oops"), "arguments"),
    "no-object": (Calls("exec_command", "[1]"), "arguments"),
    "missing": (Calls("exec_command", {}), "cmd"),
    "wrong-type": (Calls("exec_command", {"cmd": 7}), "cmd"),
    "patch-as-function": (Calls("apply_patch", {"input": 7}), "apply_patch"),
    "function-as-custom": (CallsCustom("exec_command", "ls"), "exec_command"),
    "patch-of-nothing": (CallsCustom("apply_patch", "hello"), "patch"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_call_that_cannot_be_made_is_answered(name: str, place: Place) -> None:
    call, word = WRONG[name]
    with ScriptedServer(replay([respond(call), HELLO])) as server:
        ended = place.run(server.base_url)
    check_done(ended, retries=0, said=["hello"])
    assert _outputs(server) == 1
    assert word in _output(server)
    assert not ended.of("item.started")
    assert len(ended.of("call.failed")) == 1 or ended.of("item.completed")[0]["item"]["status"] == "failed"


def _items(server: ScriptedServer) -> list[Any]:
    items = server.requests[-1]["input"]
    assert isinstance(items, list)
    return [item for item in items if isinstance(item, dict) and str(item.get("type")).endswith("_output")]


def _outputs(server: ScriptedServer) -> int:
    return len(_items(server))


def _output(server: ScriptedServer) -> str:
    return str(_items(server)[0]["output"])


# --- servers that lie below HTTP ------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
Liar = Callable[[socket.socket], None]


def says(data: bytes) -> Liar:
    return lambda client: client.sendall(data)


def resets(data: bytes) -> Liar:
    def lie(client: socket.socket) -> None:
        client.sendall(data)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return lie


def hangs(data: bytes) -> Liar:
    def lie(client: socket.socket) -> None:
        client.sendall(data)
        while client.recv(65536):
            pass

    return lie


@contextmanager
def liar(lie: Liar) -> Iterator[str]:
    """Takes the whole request, then lies, then closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def one(client: socket.socket) -> None:
            with client:
                client.settimeout(LONGEST)
                data = b""
                while b"\r\n\r\n" not in data:
                    data += client.recv(65536) or b"\r\n\r\n"
                head, _, body = data.partition(b"\r\n\r\n")
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                left = int(sizes[0].split(b":")[1]) - len(body) if sizes else 0
                while left > 0 and (piece := client.recv(65536)):
                    left -= len(piece)
                lie(client)

        def serve() -> None:
            try:
                while True:
                    threading.Thread(target=_quiet, args=(one, server.accept()[0]), daemon=True).start()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


def _quiet(one: Callable[[socket.socket], None], client: socket.socket) -> None:
    try:
        one(client)
    except OSError:
        return


LIES = {
    "closes": (says(b""), "no connection to the model service", 1),
    "resets": (resets(b""), "no connection to the model service", 1),
    "no-http": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), "the model service", 1),
    "half-a-head": (says(b"HTTP/1.1 200 OK\r\ncontent-ty"), "the model service", 1),
    "silent": (hangs(b""), "did not answer in time", 1),
    "head-then-silent": (hangs(HEAD + b"\r\n"), "was silent for 0.7 s", 1),
    "reset-in-a-line": (resets(HEAD + b"\r\ndata: {"), "broke before the response was complete", 1),
    "short-body": (says(HEAD + b"content-length: 99999\r\n\r\ndata: {}\n\n"), "before the response", 1),
    "bad-chunk": (says(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nx"), "the response", 1),
    "no-gzip": (says(HEAD + b"content-encoding: gzip\r\n\r\nplain\n\n"), "the response", 1),
    "web-page": (
        says(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>hi</html>"),
        "ended before",
        1,
    ),
    "html-error": (
        says(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 15\r\n\r\n<html>no</html>"),
        "answered 502: Bad Gateway",
        1,
    ),
    "redirect-to-itself": (
        says(
            b"HTTP/1.1 307 Moved\r\nlocation: /v1/responses\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ),
        "redirect",
        1,
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_server_that_lies(name: str, place: Place) -> None:
    lie, message, retries = LIES[name]
    with liar(lie) as url:
        ended = place.run(url)
    assert ended.message
    check_failed(ended, message, retries=retries)


def test_a_refused_connection_is_not_waited_for(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = place.run(f"http://127.0.0.1:{port}/v1")
    check_failed(ended, f"no connection to the model service at http://127.0.0.1:{port}", retries=1)
    assert "base URL" in ended.events[-1]["error"]["help"]


def test_the_command_under_test_is_the_installed_one() -> None:
    assert shutil.which(COMMAND[0])
