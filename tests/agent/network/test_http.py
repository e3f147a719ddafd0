"""HTTP through the proxy: judged request by request, written anew, bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.network.base import Bounds
from execpolicy.decision import Decision
from execpolicy.values import replace

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY


class Server:
    """Keeps what it hears, and answers each request head with the next of its answers."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers) or [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"]
        self.heard = b""
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                while b"\r\n\r\n" not in (head := await reader.readuntil(b"\r\n\r\n")):
                    pass
                self.heard += head
                lower = head.lower()
                if b"content-length:" in lower:
                    size = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
                    self.heard += await reader.readexactly(size)
                elif b"chunked" in lower:
                    self.heard += await reader.readuntil(b"0\r\n\r\n")
                answer = self.answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if b"ength" not in answer and b"chunked" not in answer:
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()


def get(port: int, host: str = "ok.test", path: str = "/x?q=1", more: str = "", close: bool = True) -> bytes:
    end = "Connection: close\r\n" if close else ""
    return f"GET http://{host}:{port}{path} HTTP/1.1\r\nHost: {host}:{port}\r\n{more}{end}\r\n".encode()


async def test_a_request(net: Any) -> None:
    server = Server()
    port = await net.server(server)
    await net.start()
    answer = await net.talk(get(port, more="Proxy-Connection: x\r\nProxy-Authorization: y\r\nX-Mine: z\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nhi")
    assert server.heard == f"GET /x?q=1 HTTP/1.1\r\nHost: ok.test:{port}\r\nX-Mine: z\r\n\r\n".encode()
    await net.end()
    assert net.witness.lines == [f"opened http://ok.test:{port}", f"closed http://ok.test:{port}"]
    assert net.witness.seen[-1].address == "127.0.0.1"
    assert net.witness.seen[-1].bytes_up == len(server.heard)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        pytest.param("GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n", 400, id="no-place"),
        pytest.param("GET https://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test\r\n\r\n", 400, id="https"),
        pytest.param("GET ftp://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test\r\n\r\n", 400, id="ftp"),
        pytest.param("GET http:///x HTTP/1.1\r\nHost: ok.test\r\n\r\n", 400, id="no-host"),
        pytest.param("GET http://u:p@ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\n\r\n", 400, id="login"),
        pytest.param(
            "GET http://evil.test\\@ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\n\r\n", 400, id="slash"
        ),
        pytest.param("GET http://ok.test:PORT/#x HTTP/1.1\r\nHost: ok.test:PORT\r\n\r\n", 400, id="fragment"),
        pytest.param("GET http://ok.test:99999/ HTTP/1.1\r\nHost: ok.test:99999\r\n\r\n", 403, id="port"),
        pytest.param("GET http://ok.test:0/ HTTP/1.1\r\nHost: ok.test:0\r\n\r\n", 403, id="port-zero"),
        pytest.param("GET http://ok%2etest:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\n\r\n", 403, id="escaped"),
        pytest.param("GET http://ok.test:PORT/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403, id="another-host"),
        pytest.param("GET http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:1\r\n\r\n", 403, id="another-port"),
        pytest.param("GET http://ok.test:PORT/ HTTP/1.1\r\n\r\n", 400, id="no-host-header"),
        pytest.param(
            "GET http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\nHost: e.test\r\n\r\n", 400, id="two"
        ),
        pytest.param("GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403, id="denied"),
        pytest.param(
            "GET http://EVIL.test./ HTTP/1.1\r\nHost: evil.test\r\n\r\n", 403, id="denied-otherwise"
        ),
        pytest.param("GET http://unknown.test/ HTTP/1.1\r\nHost: unknown.test\r\n\r\n", 403, id="unknown"),
        pytest.param(
            "GET http://127.0.0.1:PORT/ HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n\r\n", 403, id="loopback"
        ),
        pytest.param(
            "GET http://0x7f.1:PORT/ HTTP/1.1\r\nHost: 0x7f.1:PORT\r\n\r\n", 403, id="loopback-in-hex"
        ),
        pytest.param("GET http://[::1]:PORT/ HTTP/1.1\r\nHost: [::1]:PORT\r\n\r\n", 403, id="loopback-six"),
        pytest.param("GET http://[fe80::1%25lo]/ HTTP/1.1\r\nHost: [fe80::1%25lo]\r\n\r\n", 403, id="zone"),
        pytest.param(
            "GET http://gone.test:PORT/ HTTP/1.1\r\nHost: gone.test:PORT\r\n\r\n", 502, id="no-such-name"
        ),
        pytest.param(
            "GET http://slow.test:PORT/ HTTP/1.1\r\nHost: slow.test:PORT\r\n\r\n", 502, id="slow-name"
        ),
        pytest.param(
            "GET http://none.test:PORT/ HTTP/1.1\r\nHost: none.test:PORT\r\n\r\n", 502, id="no-address"
        ),
        pytest.param("GET http://ok.test:1/ HTTP/1.1\r\nHost: ok.test:1\r\n\r\n", 502, id="nobody-listens"),
        pytest.param("nonsense\r\n\r\n", 400, id="nonsense"),
        pytest.param(
            "GET http://ok.test:PORT/ HTTP/1.1\r\nHost : ok.test\r\n\r\n", 400, id="space-before-colon"
        ),
        pytest.param(
            "GET http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\nA: \0\r\n\r\n", 400, id="nul"
        ),
        pytest.param(
            "GET http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\n" + "A: b\r\n" * 200 + "\r\n",
            431,
            id="flood",
        ),
        pytest.param("GET http://ok.test:PORT/" + "x" * 70000 + " HTTP/1.1\r\n\r\n", 431, id="long-line"),
        pytest.param("GET http://ok.test:PORT/ HTTP/1.1\r\nHost:", 408, id="never-whole"),
        pytest.param(
            "POST http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\nContent-Length: 3\r\n"
            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="two-lengths",
        ),
        pytest.param(
            "POST http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\nContent-Length: 3\r\n"
            "Content-Length: 4\r\n\r\nabcd",
            400,
            id="two-sizes",
        ),
        pytest.param(
            "POST http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\nContent-Length: +3\r\n\r\nabc",
            400,
            id="sign",
        ),
        pytest.param(
            "POST http://ok.test:PORT/ HTTP/1.0\r\nHost: ok.test:PORT\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="chunked-in-1.0",
        ),
        pytest.param(
            "POST http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test:PORT\r\nTransfer-Encoding: x, chunked\r\n\r\n0",
            501,
            id="another-coding",
        ),
        pytest.param("CONNECT ok.test HTTP/1.1\r\nHost: ok.test\r\n\r\n", 400, id="tunnel-without-port"),
        pytest.param("CONNECT ok.test:PORT HTTP/1.1\r\nHost: evil.test:PORT\r\n\r\n", 403, id="tunnel-host"),
        pytest.param(
            "CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n", 403, id="tunnel-denied"
        ),
        pytest.param(
            "CONNECT http://ok.test:PORT/ HTTP/1.1\r\nHost: ok.test\r\n\r\n", 400, id="tunnel-address"
        ),
    ],
)
async def test_what_is_not_passed_on(net: Any, request_text: str, status: int) -> None:
    server = Server()
    port = await net.server(server)
    net.judge.table |= {"evil.test": DENY, "gone.test": ALLOW, "slow.test": ALLOW, "none.test": ALLOW}
    net.resolver.slow.add("slow.test")
    net.resolver.table |= {"slow.test": ("127.0.0.1",), "none.test": (), "unknown.test": ("127.0.0.1",)}
    await net.start()
    answer = await net.talk(request_text.replace("PORT", str(port)).encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300]
    assert b"\r\n\r\nnetwork: " in answer
    assert server.connections == 0
    assert "unknown.test" not in net.resolver.asked, "a name that is not allowed is not looked up"
    await net.end()


async def test_the_refusal_helps(net: Any) -> None:
    await net.start()
    answer = await net.talk(get(80, "unknown.test"))
    assert answer.endswith(b"network: unknown.test:80 (http) refused: somebody answered\n")
    net.judge.table["evil.test"] = DENY
    answer = await net.talk(get(80, "evil.test"))
    assert b"refused by evil.test: evil.test is in the table" in answer
    assert net.door.news() == (
        "unknown.test:80 (http) refused: somebody answered",
        "evil.test:80 (http) refused by evil.test: evil.test is in the table",
    )
    assert net.door.news() == ()
    await net.end()


async def test_each_request_of_one_connection_is_judged(net: Any) -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    server = Server(ok + b"no", ok + b"ne")
    port = await net.server(server)
    await net.start()
    reader, writer = await net.connect()
    for body in (b"no", b"ne"):
        writer.write(get(port, close=False))
        assert (await reader.readuntil(body)).endswith(body)
    assert server.connections == 1
    assert net.resolver.asked == ["ok.test"]
    net.judge.table["ok.test"] = DENY
    writer.write(get(port, close=False))
    assert b" 403 " in await reader.read()
    assert net.judge.judged == [f"http://ok.test:{port}"] * 3
    await net.end()


async def test_requests_sent_at_once_to_two_hosts(net: Any) -> None:
    one, other = Server(), Server()
    first = await net.server(one)
    second = await net.server(other, "other.test")
    await net.start()
    answer = await net.talk(get(first, close=False) + get(second, "other.test"))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert (one.connections, other.connections) == (1, 1)
    await net.end()


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end", id="until-close"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nold", b"old", id="old"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc", id="chunks"
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\nX-Length: 1\r\n\r\n", b"204 No", id="no-body"
        ),
        pytest.param(
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"304 Not", id="not-modified"
        ),
        pytest.param(b"", b"502 ", id="silence"),
        pytest.param(b"what\r\n\r\n", b"502 ", id="nonsense"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200000 + b"\r\n\r\n", b"502 ", id="long-head"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", b"502 ", id="switched-unasked"),
    ],
)
async def test_answers(net: Any, answer: bytes, want: bytes) -> None:
    port = await net.server(Server(answer))
    await net.start()
    assert want in await net.talk(get(port))
    await net.end()


async def test_half_an_answer_is_no_answer(net: Any) -> None:
    port = await net.server(Server(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    await net.start()
    answer = await net.talk(get(port))
    assert b"half" in answer or answer == b""
    assert b"502" not in answer
    await net.end()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param("Content-Length: 5", b"hello", id="length"),
        pytest.param("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", id="chunks"),
        pytest.param("Content-Length: 5\r\nExpect: 100-continue", b"hello", id="expect"),
    ],
)
async def test_a_body(net: Any, head: str, body: bytes) -> None:
    server = Server()
    port = await net.server(server)
    await net.start()
    text = (
        f"POST http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test:{port}\r\nConnection: close\r\n{head}\r\n\r\n"
    )
    assert (await net.talk(text.encode() + body)).endswith(b"hi")
    assert b"hello" in server.heard
    await net.end()


async def test_a_large_body_needs_little_memory(net: Any) -> None:
    size = 20_000_000

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = size
        while left:
            left -= len(await reader.read(min(left, 1 << 16)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        writer.close()

    port = await net.server(count)
    await net.start()
    reader, writer = await net.connect()
    writer.write(
        f"PUT http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test:{port}\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    for _ in range(size // 100_000):
        writer.write(bytes(100_000))
        await writer.drain()
    await reader.readuntil(b"done")
    writer.close()
    await net.end()
    assert net.witness.seen[-1].bytes_up > size


async def test_a_chunk_that_lies_reaches_no_end(net: Any) -> None:
    server = Server()
    port = await net.server(server)
    await net.start()
    text = (
        f"POST http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    hidden = f"GET /hidden HTTP/1.1\r\nHost: ok.test:{port}\r\n\r\n"
    answer = await net.talk(text.encode() + b"5\r\nhelloXX" + hidden.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"hidden" not in server.heard
    await net.end()


async def test_a_server_that_says_nothing(net: Any) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    net.bounds = replace(net.bounds, idle_seconds=0.3)
    port = await net.server(silent)
    await net.start()
    assert b" 504 " in await net.talk(get(port))
    await net.end()
    assert net.witness.lines[-1].startswith("cut ")


async def test_the_number_of_connections_is_bounded(net: Any) -> None:
    net.bounds = Bounds(connections=3, head_seconds=2)
    await net.start()
    held = [await net.connect() for _ in range(3)]
    await asyncio.sleep(0.05)
    assert await net.talk(get(1)) == b""
    for _, writer in held:
        writer.close()
    await net.end()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda method, target, head, body: (
            method + b" " + target + b" HTTP/1.1\r\n" + head + b"\r\n\r\n" + body
        ),
        st.sampled_from([b"GET", b"POST", b"CONNECT", b"OPTIONS", b"x"]),
        st.sampled_from([b"http://ok.test:1/", b"evil.test:443", b"*", b"http://evil.test", b"/x"])
        | st.binary(max_size=20),
        st.sampled_from([b"Host: ok.test:1", b"Host: evil.test", b"Content-Length: 3"])
        | st.binary(max_size=40),
        st.binary(max_size=30),
    )
    | st.binary(max_size=60).map(lambda data: b"\5\1\0\5\1\0" + data)
)
def test_no_bytes_hang_it_or_open_what_was_not_judged(make_net: Any, data: bytes) -> None:
    async def one() -> None:
        net = make_net()
        net.bounds = Bounds(head_seconds=0.05, sniff_seconds=0.05, idle_seconds=0.2, connect_seconds=0.5)
        server = Server()
        port = await net.server(server, "hidden.test")
        net.judge.table["hidden.test"] = DENY
        net.judge.table["ok.test"] = ALLOW
        net.resolver.table["ok.test"] = ("127.0.0.1",)
        await net.start()
        async with asyncio.timeout(8):
            await net.talk(data.replace(b"evil.test:443", f"hidden.test:{port}".encode()), eof=True)
        await net.end()
        assert server.connections == 0

    asyncio.run(one())
