"""A model that follows a script, behind a real HTTP server that speaks the Responses API.

It stands in for a live model in the first run without a key and in tests: the `openai` package, the stream
handling, the tool loop, the gate, the sandbox and the record are the very ones that a live model meets. It
listens on 127.0.0.1 only.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal

from agent.protocol.items import Json, JsonObject

# --- what a script answers ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Says:
    text: str


@dataclass(frozen=True, slots=True)
class Thinks:
    summary: str


@dataclass(frozen=True, slots=True)
class Calls:
    """A function call. `arguments` as text is sent as it is, valid JSON or not."""

    name: str
    arguments: JsonObject | str


@dataclass(frozen=True, slots=True)
class CallsCustom:
    """A call of a freeform tool."""

    name: str
    text: str


Output = Says | Thinks | Calls | CallsCustom


@dataclass(frozen=True, slots=True)
class Respond:
    """A normal answer. `end` says how the stream ends: as it should, cut, or silent for ever."""

    outputs: tuple[Output, ...]
    end: Literal["completed", "cut", "eof", "stall"] = "completed"
    usage: tuple[int, int] = (100, 20)  # input and output tokens


@dataclass(frozen=True, slots=True)
class Fail:
    """An HTTP error."""

    status: int
    message: str = "scripted failure"
    code: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    more: tuple[tuple[str, Json], ...] = ()  # members of the error object


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes of an event stream, sent as they are; then the connection is closed."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Drip:
    """`body` again and again, for ever. `head=False`: not even the head of the answer comes to its end."""

    body: bytes = b""
    head: bool = True
    seconds: float = 0.02  # between two pieces


Step = Respond | Fail | Stream | Drip
Script = Callable[[JsonObject], Step]


def respond(*outputs: Output) -> Respond:
    return Respond(tuple(outputs))


def replay(steps: Sequence[Step]) -> Script:
    """One step a request, in order; more requests than steps get an error that says so."""
    lock = threading.Lock()
    left = iter(steps)

    def script(request: JsonObject) -> Step:
        with lock:
            return next(left, Fail(400, "the script has no further step"))

    return script


# --- the wire -------------------------------------------------------------------------------


def event_bytes(event: JsonObject) -> bytes:
    """One server-sent event."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def output_item(output: Output, number: str) -> JsonObject:
    """The item of the Responses API for one output."""
    match output:
        case Says(text):
            part: JsonObject = {"type": "output_text", "text": text, "annotations": []}
            return {
                "type": "message",
                "id": f"msg_{number}",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        case Thinks(summary):
            thought: JsonObject = {"type": "summary_text", "text": summary}
            return {
                "type": "reasoning",
                "id": f"rs_{number}",
                "summary": [thought],
                "encrypted_content": "c2NyaXB0ZWQ=",
            }
        case Calls(name, arguments):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            return {
                "type": "function_call",
                "id": f"fc_{number}",
                "call_id": f"call_{number}",
                "name": name,
                "arguments": text,
                "status": "completed",
            }
        case CallsCustom(name, text):
            return {
                "type": "custom_tool_call",
                "id": f"ctc_{number}",
                "call_id": f"call_{number}",
                "name": name,
                "input": text,
                "status": "completed",
            }


def stream_of(step: Respond, number: str) -> Iterator[bytes]:
    """The event stream of one answer, without its end where `step.end` says so."""
    head: JsonObject = {"id": f"resp_{number}", "object": "response", "status": "in_progress", "output": []}
    yield event_bytes({"type": "response.created", "response": head})
    items: list[Json] = []
    for index, output in enumerate(step.outputs):
        item = output_item(output, f"{number}_{index}")
        items.append(item)
        yield event_bytes({"type": "response.output_item.added", "output_index": index, "item": item})
        if isinstance(output, Says):
            for piece in _pieces(output.text):
                yield event_bytes(
                    {
                        "type": "response.output_text.delta",
                        "item_id": item["id"],
                        "output_index": index,
                        "content_index": 0,
                        "delta": piece,
                    }
                )
        yield event_bytes({"type": "response.output_item.done", "output_index": index, "item": item})
    if step.end == "completed":
        tokens_in, tokens_out = step.usage
        usage: JsonObject = {
            "input_tokens": tokens_in,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens_out,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens_in + tokens_out,
        }
        done: JsonObject = {**head, "status": "completed", "output": items, "usage": usage}
        yield event_bytes({"type": "response.completed", "response": done})


def _pieces(text: str, size: int = 24) -> Iterator[str]:
    for at in range(0, len(text), size):
        yield text[at : at + size]


# --- the server -----------------------------------------------------------------------------


@dataclass
class ScriptedServer:
    """`with ScriptedServer(script) as server:` serves it at `server.base_url` until the block ends.

    `requests` collects the bodies received, in order.
    """

    script: Script
    pause: float = 0.0  # seconds between two events, so that a person can follow
    label: str = ""  # goes into every id, so that two servers on one thread never give the same
    requests: list[JsonObject] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)  # of each request, names in lower case

    def __post_init__(self) -> None:
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    request = json.loads(body)
                except ValueError:
                    request = None
                if not self.path.rstrip("/").endswith("/responses") or not isinstance(request, dict):
                    self._send(Fail(404, f"the scripted model serves POST /v1/responses, not {self.path}"))
                    return
                with owner._lock:
                    owner.requests.append(request)
                    owner.headers.append({name.lower(): one for name, one in self.headers.items()})
                    number = len(owner.requests)
                    step = owner.script(request)
                try:
                    self._send(step, number)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def _send(self, step: Step, number: int = 0) -> None:
                match step:
                    case Fail(status, message, code, headers, more):
                        kind = code or "scripted"
                        error: JsonObject = {"message": message, "type": kind, "code": code, **dict(more)}
                        text = json.dumps({"error": error}).encode()
                        self.send_response(status)
                        self.send_header("content-type", "application/json")
                        self.send_header("content-length", str(len(text)))
                        for name, value in headers:
                            self.send_header(name, value)
                        self.end_headers()
                        self.wfile.write(text)
                    case Stream(body):
                        self._open_stream()
                        self.wfile.write(body)
                    case Drip(body, head, seconds):
                        if head:
                            self._open_stream()
                        else:
                            self.close_connection = True
                            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
                        while not owner._closing.wait(seconds):
                            self.wfile.write(body)
                    case Respond():
                        self._open_stream()
                        for piece in stream_of(step, f"{owner.label}{number}"):
                            self.wfile.write(piece)
                            if owner.pause:
                                time.sleep(owner.pause)
                        self._end(step)

            def _open_stream(self) -> None:
                self.close_connection = True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()

            def _end(self, step: Respond) -> None:
                if step.end == "stall":
                    owner._closing.wait()
                if step.end == "cut":  # a reset instead of an orderly end
                    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()

            def log_message(self, format: str, *args: object) -> None:
                """The server says nothing of its own."""

        return Handler
