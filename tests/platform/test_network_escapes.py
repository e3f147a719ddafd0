"""Out of a sandbox whose network is a proxy there is one way, and everything else goes nowhere."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent.network.base import Bounds, Connection, Ruling, Target
from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import NoRoom, Rooms
from agent.process.spawn import Outcome, run
from agent.sandbox.base import Launch
from agent.sandbox.proxied import PORT
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import Decision, SandboxMode


class Named:
    """Allows 127.0.0.1 and ok.test, denies everything else."""

    def judge(self, target: Target) -> Ruling:
        fine = target.host in ("127.0.0.1", "ok.test")
        decision = Decision.ALLOW if fine else Decision.DENY
        return Ruling(decision=decision, reason="the test says so", exact=fine)

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        raise AssertionError("nothing is asked")


class Kept:
    def __init__(self) -> None:
        self.seen: list[Connection] = []

    def saw(self, connection: Connection) -> None:
        self.seen.append(connection)


class Here:
    async def resolve(self, host: str) -> tuple[str, ...]:
        return ("127.0.0.1",)


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", 0), Page)


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.heard.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def launch(world: Any, code: str) -> Launch:
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace=str(world.ws), network=Network.NAMED)
    bare = Launch(argv=tuple(world._argv(code)), cwd=str(world.ws), env=world._environment())
    return world.sandbox().wrap(bare, spec)  # type: ignore[no-any-return]


def proxied(
    world: Any, code: str, rooms: Rooms | None = None, timeout: float = 30
) -> tuple[Outcome, Kept, list[str]]:
    """The end of `code`, what was recorded, and what was told."""
    kept = Kept()
    news: list[str] = []

    async def once() -> Outcome:
        own = rooms or Rooms()
        door = ProxyDoor(own, Guard(Named(), kept, Here(), Bounds()))
        try:
            return await run(launch(world, code), timeout=timeout, door=door)
        finally:
            news.extend(door.news())
            own.close()

    return asyncio.run(once()), kept, news


def test_the_one_way_out(world: Any, server: Server) -> None:
    world.extra["AT"] = f"ok.test:{server.server_address[1]}"
    code = """#py
import urllib.request
print(urllib.request.urlopen("http://" + os.environ["AT"] + "/page").read())
"""
    seen, kept, news = proxied(world, code)
    assert (seen.exit_code, seen.output) == (0, "b'hello\\n'\n")
    assert server.heard == ["/page"]
    assert [one.outcome.value for one in kept.seen] == ["opened", "closed"]
    assert news == []


@pytest.mark.parametrize(
    "host", ["evil.test", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "127.0.0.2"]
)
def test_other_hosts_are_refused(world: Any, host: str) -> None:
    world.extra["AT"] = host
    code = """#py
import urllib.request, urllib.error
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ""
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": os.environ["HTTP_PROXY"]}))
try:
    opener.open("http://" + os.environ["AT"] + "/")
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""
    seen, kept, news = proxied(world, code)
    assert seen.output.startswith("403 network: "), seen.output
    assert [one.outcome.value for one in kept.seen] == ["refused"]
    assert len(news) == 1


# Each ends with 0 when it got out. The server that PORT and HOST name is there, and answers without a sandbox.
WAYS = {
    "tcp": "s = socket.create_connection((HOST, PORT_), 3)",
    "tcp-loopback": 's = socket.create_connection(("127.0.0.1", PORT_), 3)',
    "tcp-localhost": 's = socket.create_connection(("localhost", PORT_), 3)',
    "tcp-any": 's = socket.create_connection(("0.0.0.0", PORT_), 3)',
    "mapped": 's = socket.socket(socket.AF_INET6); s.settimeout(3); s.connect(("::ffff:127.0.0.1", PORT_))',
    "bound": 's = socket.socket(); s.bind(("127.0.0.2", 0)); s.settimeout(3); s.connect(("127.0.0.1", PORT_))',
    "abstract": 's = socket.socket(socket.AF_UNIX); s.connect("\\0" + os.environ["ABSTRACT"])',
    "unix": 's = socket.socket(socket.AF_UNIX); s.connect(os.environ["UNIX"])',
}


@pytest.mark.parametrize("way", WAYS)
def test_no_other_way(world: Any, server: Server, way: str) -> None:
    name = f"agent-test-{os.getpid()}"
    path = str(world.ws / "s")
    world.extra |= {"AT_PORT": str(server.server_address[1]), "ABSTRACT": name, "UNIX": path}
    code = f'#py\nHOST, PORT_ = "127.0.0.1", int(os.environ["AT_PORT"])\n{WAYS[way]}\n'
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as unix:
        abstract.bind("\0" + name)
        abstract.listen()
        unix.bind(path)
        unix.listen()
        assert world.bare(code) == 0, "the way is none even without a sandbox"
        seen, kept, _ = proxied(world, code)
    assert seen.exit_code != 0
    assert server.heard == []
    assert kept.seen == []


# Each ends with 0 when the kernel refuses it.
REFUSED = {
    "datagram-out": """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(b"x", ("192.0.2.1", 53))
except OSError as error:
    sys.exit(error.errno not in (errno.ENETUNREACH, errno.EPERM))
sys.exit(1)
""",
    "datagram-six": """
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
try:
    s.sendto(b"x", ("2001:db8::1", 53))
except OSError as error:
    sys.exit(error.errno not in (errno.ENETUNREACH, errno.EPERM, errno.EADDRNOTAVAIL))
sys.exit(1)
""",
    "name-lookup": """
try:
    socket.getaddrinfo("example.org", 80)
except socket.gaierror:
    sys.exit(0)
sys.exit(1)
""",
    "connect-out": """
try:
    socket.create_connection(("192.0.2.1", 80), 3)
except OSError as error:
    sys.exit(error.errno != errno.ENETUNREACH)
sys.exit(1)
""",
    "raw": "refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))",
    "raw-six": "refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58))",
    "packet": "refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))",
    "vsock": "refused(lambda: socket.socket(40, socket.SOCK_STREAM))",
    "netfilter": "refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12))",
    "uevents": "refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15))",
    "sctp": "refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132))",
    "bluetooth": "refused(lambda: socket.socket(31, socket.SOCK_RAW, 1))",
    "alg": "refused(lambda: socket.socket(38, socket.SOCK_SEQPACKET))",
    "xdp": "refused(lambda: socket.socket(44, socket.SOCK_RAW))",
    "new-route": """
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
message = struct.pack("=IHHII", 28, 24, 0x605, 1, 0) + struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 0, 1, 0)
s.send(message)
sys.exit(struct.unpack_from("=i", s.recv(4096), 16)[0] != -errno.EPERM)
""",
    "other-network": """
sys.exit(sc(308, 268, os.open("/proc/1/ns/net", 0), 0x40000000) not in (errno.EPERM, errno.EACCES))
""",
    "new-network": "sys.exit(sc(272, 97, 0x40000000) != errno.EPERM)",
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_kernel_refuses(world: Any, name: str) -> None:
    before = """#py
def refused(make):
    try:
        make()
    except OSError as error:
        sys.exit(error.errno not in (errno.EPERM, errno.EACCES))
    sys.exit(1)
"""
    seen, kept, _ = proxied(world, before + REFUSED[name])
    assert seen.exit_code == 0, seen.output
    assert kept.seen == []


def test_the_proxy_has_its_port_for_itself(world: Any) -> None:
    code = f"""#py
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    s.bind(("127.0.0.1", {PORT}))
except OSError as error:
    sys.exit(error.errno != errno.EADDRINUSE)
sys.exit(1)
"""
    seen, _, _ = proxied(world, code)
    assert seen.exit_code == 0, seen.output


def test_nobody_else_reaches_the_listener(world: Any) -> None:
    kept = Kept()

    async def once() -> tuple[Outcome, bool]:
        rooms = Rooms()
        door = ProxyDoor(rooms, Guard(Named(), kept, Here(), Bounds()))
        task = asyncio.create_task(run(launch(world, "sleep 1"), timeout=20, door=door))
        await asyncio.sleep(0.4)
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", PORT)
        except OSError:
            reached = False
        else:
            writer.close()
            reached = True
        try:
            return await task, reached
        finally:
            rooms.close()

    seen, reached = asyncio.run(once())
    assert seen.exit_code == 0
    assert not reached


def test_two_commands_have_two_networks(world: Any, server: Server) -> None:
    """A server of one is not there for the other, and both have their proxy at the same place."""
    world.extra["AT"] = f"ok.test:{server.server_address[1]}"
    serve = """#py
s = socket.create_server(("127.0.0.1", 4567))
s.settimeout(2)
try:
    s.accept()
except TimeoutError:
    sys.exit(0)
sys.exit(1)
"""
    ask = """#py
import time, urllib.request
time.sleep(0.5)
urllib.request.urlopen("http://" + os.environ["AT"] + "/").read()
try:
    socket.create_connection(("127.0.0.1", 4567), 1)
except OSError:
    sys.exit(0)
sys.exit(1)
"""

    async def both() -> list[Outcome]:
        rooms = Rooms()
        doors = [ProxyDoor(rooms, Guard(Named(), Kept(), Here(), Bounds())) for _ in range(2)]
        try:
            pairs = zip((serve, ask), doors, strict=True)
            return await asyncio.gather(
                *(run(launch(world, code), timeout=20, door=door) for code, door in pairs)
            )
        finally:
            rooms.close()

    assert [seen.exit_code for seen in asyncio.run(both())] == [0, 0]


def test_nothing_is_left(world: Any, server: Server) -> None:
    """Not a descriptor, a task, a process or a listener, after commands that end in all ways."""
    world.extra["AT"] = f"ok.test:{server.server_address[1]}"
    get = """#py
import urllib.request
urllib.request.urlopen("http://" + os.environ["AT"] + "/").read()
"""

    async def many() -> tuple[set[str], set[str], int]:
        rooms = Rooms()

        async def once(code: str, timeout: float = 10) -> None:
            door = ProxyDoor(rooms, Guard(Named(), Kept(), Here(), Bounds()))
            await run(launch(world, code), timeout=timeout, door=door)

        await once(get)
        before = set(os.listdir("/proc/self/fd"))
        for _ in range(3):
            await once(get)
            await once("exit 3")
            await once("exec no-such-program")
            await once("sleep 30", timeout=0.3)
            await once("sleep 30", timeout=0.001)
            task = asyncio.create_task(once("sleep 30"))
            await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for _ in range(100):  # what was cancelled is buried by the loop a little later
            await asyncio.sleep(0.05)
            after = set(os.listdir("/proc/self/fd"))
            if len(after) <= len(before):
                break
        tasks = len(asyncio.all_tasks())
        helper = rooms._process
        rooms.close()
        assert helper is not None
        assert helper.returncode is not None
        return before, after, tasks

    before, after, tasks = asyncio.run(many())
    assert len(after) <= len(before)
    assert tasks == 1


def test_without_a_listener_it_runs_and_reaches_nothing(world: Any, server: Server) -> None:
    world.extra["AT"] = f"ok.test:{server.server_address[1]}"
    code = """#py
import urllib.request
urllib.request.urlopen("http://" + os.environ["AT"] + "/").read()
"""
    seen, kept, news = proxied(world, code, Rooms(python="/bin/false"))
    assert seen.exit_code == 1
    assert server.heard == []
    assert kept.seen == []
    assert "there is no proxy, and so no network" in news[0]
    seen, _, news = proxied(world, "echo ran", Rooms(python="/no/such/program"))
    assert seen.output == "ran\n"
    assert "there is no proxy" in news[0]


def test_a_helper_that_died_is_started_again(world: Any, server: Server) -> None:
    world.extra["AT"] = f"ok.test:{server.server_address[1]}"
    code = """#py
import urllib.request
urllib.request.urlopen("http://" + os.environ["AT"] + "/").read()
"""

    async def twice() -> list[int | None]:
        rooms = Rooms()
        ends = []
        for _ in range(2):
            door = ProxyDoor(rooms, Guard(Named(), Kept(), Here(), Bounds()))
            ends.append((await run(launch(world, code), timeout=20, door=door)).exit_code)
            assert rooms._process is not None
            rooms._process.kill()
            rooms._process.wait()
            await asyncio.sleep(0.05)
        rooms.close()
        return ends

    assert asyncio.run(twice()) == [0, 0]


def test_a_child_that_is_none_gets_no_listener() -> None:
    """A number of a process in our own network, or of none, opens nothing here."""

    async def tried(text: bytes) -> str:
        rooms = Rooms()
        told, tells = os.pipe()
        os.write(tells, text)
        os.close(tells)
        try:
            with pytest.raises(NoRoom) as caught:
                await rooms.listener(told)
        finally:
            rooms.close()
        return str(caught.value)

    assert "no network of its own" in asyncio.run(tried(b'{"child-pid": %d}' % os.getpid()))
    assert "ended before it stood" in asyncio.run(tried(b""))
    assert "ended before it stood" in asyncio.run(tried(b'{"child-pid": '))
    assert "No such" in asyncio.run(tried(b'{"child-pid": 999999999}'))


def test_a_launch_that_waits_needs_a_door(world: Any) -> None:
    with pytest.raises(ValueError, match="waits for its network"):
        asyncio.run(run(launch(world, "true"), timeout=5))


def test_a_server_of_its_own(world: Any) -> None:
    """What belongs to the command alone is not the proxy's business."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    code = f"""
"{shutil.which("python3") or "python3"}" -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 &
for n in 1 2 3 4 5 6 7 8 9 10; do curl -s -o /dev/null http://127.0.0.1:8123/ && exit 0; sleep 0.3; done; exit 1
"""
    seen, kept, _ = proxied(world, code)
    assert seen.exit_code == 0
    assert kept.seen == []
