"""What the proxy adds: to the start of a sandboxed command, and to a request over a connection that stands or not.

python bench/network.py [RUNS]
"""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from measure import rounds, table

from agent.network.base import Bounds, Connection, Ruling, Target
from agent.network.dial import SystemResolver
from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import Rooms
from agent.process.environ import child_environment
from agent.process.spawn import run
from agent.sandbox.base import Launch
from agent.sandbox.select import select
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import Decision, SandboxMode

BALLAST_MB = 400


class Everything:
    def judge(self, target: Target) -> Ruling:
        return Ruling(decision=Decision.ALLOW, reason="", exact=True)

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        return ruling


class Nothing:
    def saw(self, connection: Connection) -> None:
        pass


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = b"x" * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def guard() -> Guard:
    return Guard(Everything(), Nothing(), SystemResolver(), Bounds())


def starts(runner: asyncio.Runner, rooms: Rooms, workspace: str) -> dict[str, Callable[[], object]]:
    """A sandboxed `true` with and without a proxy."""
    true = shutil.which("true") or "/bin/true"
    plain = Launch(argv=(true,), cwd=workspace, env=child_environment(os.environ))
    sandbox = select(SandboxMode.WORKSPACE_WRITE)

    def confined(network: Network) -> Callable[[], object]:
        spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace=workspace, network=network)

        async def once() -> None:
            door = ProxyDoor(rooms, guard()) if network.proxied else None
            await run(sandbox.wrap(plain, spec), timeout=10, door=door)

        return lambda: runner.run(once())

    return {
        "plain spawn": lambda: runner.run(run(plain, timeout=10)),
        "sandbox": confined(Network.NONE),
        "sandbox with proxy": confined(Network.NAMED),
    }


def requests(port: int, proxy: int) -> dict[str, Callable[[], object]]:
    """One request: direct and proxied, over a connection that stands and over a new one."""

    def get(connection: http.client.HTTPConnection, target: str) -> None:
        connection.request("GET", target)
        connection.getresponse().read()

    standing, through = (http.client.HTTPConnection("127.0.0.1", at) for at in (port, proxy))
    whole = f"http://127.0.0.1:{port}/"

    def anew(at: int, target: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", at)
        get(connection, target)
        connection.close()

    def named(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", whole, headers={"Host": f"127.0.0.1:{port}"})
        connection.getresponse().read()

    def tunnelled() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", proxy)
        connection.set_tunnel("127.0.0.1", port, {"Host": f"127.0.0.1:{port}"})
        get(connection, "/")
        connection.close()

    def named_anew() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", proxy)
        named(connection)
        connection.close()

    return {
        "direct, standing": lambda: get(standing, "/"),
        "proxied, standing": lambda: named(through),
        "direct, new": lambda: anew(port, "/"),
        "proxied, new": named_anew,
        "tunnel, new": tunnelled,
    }


def serving(listener: socket.socket) -> None:
    """A proxy in a thread of its own, until the end."""

    async def forever() -> None:
        await ProxyDoor(Rooms(), guard()).serve(listener)
        await asyncio.Event().wait()

    threading.Thread(target=asyncio.run, args=(forever(),), daemon=True).start()


def main(runs: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    proxy = int(listener.getsockname()[1])
    rooms = Rooms()
    home = os.path.expanduser("~")
    with (
        tempfile.TemporaryDirectory(dir=home, prefix=".agent-bench-") as workspace,
        asyncio.Runner() as runner,
    ):
        times = rounds(starts(runner, rooms, workspace), runs)
        table("start of a command", times, "plain spawn")
        ballast = [os.urandom(1 << 20) for _ in range(BALLAST_MB)]
        times = rounds(starts(runner, rooms, workspace), runs)
        table(f"start of a command, {len(ballast)} MB held", times, "plain spawn")
        del ballast

        async def end() -> None:
            rooms.close()

        runner.run(end())
    serving(listener)
    every = rounds(requests(int(server.server_address[1]), proxy), runs * 5)
    for kind in ("standing", "new"):
        table(
            f"one request, {kind} connection",
            {name: found for name, found in every.items() if kind in name},
            f"direct, {kind}",
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
