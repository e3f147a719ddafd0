"""The HTTP side of a witness."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

from compliance.note import SealError
from compliance.witness.memory import Answer, Memory

MOST_BODY: Final = 64 * 1024
SECONDS: Final = 10.0  # for one request to arrive


def server(memory: Memory, host: str, port: int) -> ThreadingHTTPServer:
    """Bound and ready; OSError when the address is taken. `serve_forever` runs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = SECONDS

        def do_POST(self) -> None:
            if urlsplit(self.path).path != "/add-checkpoint":
                self._send(Answer(404, "there is POST /add-checkpoint and GET /checkpoint?origin=...\n"))
                return
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdecimal()) or int(length) > MOST_BODY:
                self.close_connection = True
                self._send(Answer(413, f"a request has a length, and at most {MOST_BODY} bytes\n"))
                return
            try:
                self._send(memory.add(self.rfile.read(int(length)).decode()))
            except UnicodeDecodeError:
                self._send(Answer(400, "this is no request to add a checkpoint\n"))
            except SealError as error:
                self._send(Answer(500, f"{error}\n"))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            origin = parse_qs(parts.query).get("origin", [])
            if parts.path != "/checkpoint" or len(origin) != 1:
                self._send(Answer(404, "there is POST /add-checkpoint and GET /checkpoint?origin=...\n"))
                return
            try:
                self._send(memory.latest(origin[0]))
            except SealError as error:
                self._send(Answer(500, f"{error}\n"))

        def _send(self, answer: Answer) -> None:
            data = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass  # standard error is for what is wrong

    found = ThreadingHTTPServer((host, port), Handler)
    found.daemon_threads = True
    return found
