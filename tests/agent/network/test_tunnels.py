"""CONNECT and SOCKS5: what passes is what was allowed to, and who asks for one server speaks to that one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network.tunnel import Seen, look
from execpolicy.decision import Decision
from execpolicy.values import replace

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def by_connect(net: Any, host: str, port: int) -> Pair:
    reader, writer = await net.connect()
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def by_socks(net: Any, host: str, port: int) -> Pair:
    reader, writer = await net.connect()
    name = host.encode()
    writer.write(b"\5\1\0\5\1\0\3" + bytes((len(name),)) + name + port.to_bytes(2, "big"))
    assert await reader.readexactly(12) == b"\5\0\5\0\0\1" + bytes(6)
    return reader, writer


BOTH = pytest.mark.parametrize("opened", [by_connect, by_socks])
Opened = Callable[[Any, str, int], Awaitable[Pair]]


def hello(name: str | None) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


@BOTH
@pytest.mark.parametrize("pieces", [1, 2, 50])
async def test_tls_for_the_server_that_was_allowed(net: Any, opened: Opened, pieces: int) -> None:
    port = await net.server(echo)
    await net.start()
    reader, writer = await opened(net, "ok.test", port)
    data = hello("OK.test")
    step = -(-len(data) // pieces)
    for at in range(0, len(data), step):
        writer.write(data[at : at + step])
        await asyncio.sleep(0)
    assert await reader.readexactly(len(data)) == data
    writer.write(b"anything after it" * 1000)
    writer.write_eof()
    assert await reader.read() == b"anything after it" * 1000
    await net.settled()
    await net.end()
    last = net.witness.seen[-1]
    assert (last.outcome.value, last.bytes_up, last.bytes_down) == (
        "closed",
        len(data) + 17000,
        len(data) + 17000,
    )


@BOTH
@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(hello("evil.test"), "is for another server, `evil.test`", id="another-server"),
        pytest.param(hello(None), "names no server", id="no-name"),
        pytest.param(hello("ok.test")[:100], "is not whole", id="half"),
        pytest.param(b"\x16\3\1\0\5\2\0\0\1\0", "cannot be read", id="unreadable"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version of HTTP", id="http2"),
        pytest.param(b"GET / http/1.1\r\nHost: evil.test\r\n\r\n", "version of HTTP", id="lower-case"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: evil.test\r\n\r\n", "version of HTTP", id="text-of-http2"),
        pytest.param(b"\r\nGET / HTTP/0.9\r\nHost: evil.test\r\n\r\n", "version of HTTP", id="http0"),
        pytest.param(b"GET /page\r\n", "version of HTTP", id="no-version"),
        pytest.param(b"GET\t/page", "version of HTTP", id="no-version-no-end"),
        pytest.param(b"POST HTTP://evil.test/\n", "version of HTTP", id="no-version-whole-address"),
        pytest.param(b"\x0b GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "version of HTTP", id="blanks-first"),
        pytest.param(b"GET\x0c/\xa0HTTP/1.1\r\nHost: evil.test\r\n\r\n", "version of HTTP", id="odd-blanks"),
        pytest.param(b"GET / HTTP/1.1 x\r\nHost: evil.test\r\n\r\n", "version of HTTP", id="a-word-more"),
    ],
)
async def test_tls_for_another(net: Any, opened: Opened, data: bytes, why: str) -> None:
    heard = b""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.read()
        writer.close()

    port = await net.server(listen)
    await net.start()
    reader, writer = await opened(net, "ok.test", port)
    writer.write(data)
    writer.write_eof()
    try:
        assert await reader.read() == b""
    except ConnectionError:
        pass
    await net.end()
    assert heard == b""
    assert net.witness.seen[-1].outcome.value == "cut"
    assert why in net.witness.seen[-1].why
    assert why in net.door.news()[-1]


@BOTH
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b" ", b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"], id="blank"),
        pytest.param([b"GET\x0b", b"/ HTTP/1.1\r\nHost: evil.test\r\n\r\n"], id="odd-blank"),
        pytest.param([b"POST /\0", b" HTTP/1.1\r\nHost: evil.test\r\n\r\n"], id="nul"),
        pytest.param([b"PUT /" + b"a" * 20000, b" HTTP/1.1\r\nHost: evil.test\r\n\r\n"], id="long"),
    ],
)
async def test_requests_in_pieces(net: Any, opened: Opened, pieces: list[bytes]) -> None:
    heard = b""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.read()
        writer.close()

    port = await net.server(listen)
    await net.start()
    reader, writer = await opened(net, "ok.test", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        assert await reader.read() == b""
    except ConnectionError:
        pass
    await net.end()
    assert heard == b""
    assert "version of HTTP" in net.witness.seen[-1].why


async def test_an_address_needs_no_name(net: Any) -> None:
    port = await net.server(echo, "127.0.0.1")
    await net.start()
    reader, writer = await by_connect(net, "127.0.0.1", port)
    writer.write(hello(None))
    assert await reader.read(1)
    writer.close()
    reader, writer = await by_connect(net, "127.0.0.1", port)
    writer.write(hello("evil.test"))
    assert await reader.read() == b""
    await net.end()


async def test_a_server_that_speaks_first(net: Any) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await echo(reader, writer)

    port = await net.server(greet)
    await net.start()
    reader, writer = await by_socks(net, "ok.test", port)
    assert await reader.readline() == b"220 hello\r\n"
    for line in (b"EHLO me\r\n", b"GET mail\r\n"):
        writer.write(line)
        assert await reader.readline() == line
    writer.close()
    reader, writer = await by_connect(net, "ok.test", port)
    assert await reader.readline() == b"220 hello\r\n"
    writer.write(b"EHLO me\r\n")
    assert await reader.read() == b""
    await net.end()
    assert "CONNECT carries TLS or HTTP only" in net.witness.seen[-1].why


@BOTH
async def test_http_in_a_tunnel_is_read(net: Any, opened: Opened) -> None:
    heard = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        for _ in range(2):
            heard += await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        await reader.read()
        writer.close()

    port = await net.server(serve)
    await net.start()
    reader, writer = await opened(net, "ok.test", port)
    good = f"GET /x HTTP/1.1\r\nHost: ok.test:{port}\r\n\r\n".encode()
    writer.write(good)
    assert (await reader.readuntil(b"hi")).endswith(b"hi")
    writer.write(b"GET /x HTTP/1.1\r\nHost: evil.test\r\n\r\n")
    assert b" 403 " in await reader.read()
    await net.end()
    assert heard == good
    protocol = "https" if opened is by_connect else "socks5_tcp"
    wanted = [f"{protocol}://ok.test:{port}", f"http://ok.test:{port}"]
    assert net.judge.judged[:2] == wanted


@pytest.mark.parametrize(
    ("opened", "protocol", "data"),
    [
        pytest.param(by_connect, "http", b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n", id="http-in-connect"),
        pytest.param(by_socks, "http", b"GET / HTTP/1.1\r\nHost: ok.test\r\n\r\n", id="http-in-socks"),
        pytest.param(by_socks, "https", hello("ok.test"), id="tls-in-socks"),
    ],
)
async def test_a_denied_protocol_is_denied_inside_another(
    net: Any, opened: Opened, protocol: str, data: bytes
) -> None:
    port = await net.server(echo)
    net.judge.table[f"{protocol}://ok.test"] = DENY
    await net.start()
    reader, writer = await opened(net, "ok.test", port)
    writer.write(data)
    assert await reader.read() == b""
    await net.end()
    assert f"refused {protocol}://ok.test:{port}" in net.witness.lines
    assert net.witness.seen[-1].bytes_up == 0


async def test_plain_http_in_connect_needs_an_allow_of_its_own(net: Any) -> None:
    port = await net.server(echo)
    net.judge.table["http://ok.test"] = ASK
    await net.start()
    reader, writer = await by_connect(net, "ok.test", port)
    writer.write(b"GET / HTTP/1.1\r\n")
    assert await reader.read() == b""
    assert net.judge.asked == [f"ok.test:{port}"]
    await net.end()


@BOTH
async def test_a_websocket(net: Any, opened: Opened) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Upgrade: websocket\r\n" in head
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst"
        )
        await echo(reader, writer)

    port = await net.server(serve)
    await net.start()
    reader, writer = await opened(net, "ok.test", port)
    writer.write(
        f"GET /s HTTP/1.1\r\nHost: ok.test:{port}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        "Sec-WebSocket-Key: x\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(5) == b"first"
    writer.write(b"GET / HTTP/1.1 \0\1 any bytes")
    assert await reader.readexactly(27) == b"GET / HTTP/1.1 \0\1 any bytes"
    writer.write_eof()
    assert await reader.read() == b""
    await net.end()


@pytest.mark.parametrize(
    ("table", "host", "reply"),
    [
        pytest.param({"evil.test": DENY}, "evil.test", 2, id="denied"),
        pytest.param({}, "unknown.test", 2, id="unknown"),
        pytest.param({"ok.test": ALLOW}, "ok.test", 4, id="nobody-listens"),
        pytest.param({}, "a..b", 2, id="no-name"),
        pytest.param({}, "0x7f.1", 2, id="loopback"),
    ],
)
async def test_the_replies_of_socks(net: Any, table: Any, host: str, reply: int) -> None:
    net.judge.table |= table
    net.resolver.table["ok.test"] = ("127.0.0.1",)
    await net.start()
    name = host.encode()
    found = await net.talk(b"\5\1\0\5\1\0\3" + bytes((len(name),)) + name + b"\0\1")
    assert found[2:4] == bytes((5, reply))
    await net.end()


async def test_datagrams_are_refused_clearly(net: Any) -> None:
    await net.start()
    assert await net.talk(b"\5\1\0\5\3\0\1\0\0\0\0\0\0") == b"\5\0\5\7\0\1" + bytes(6)
    assert "datagrams are not passed on" in net.door.news()[0]
    assert net.witness.lines == ["refused socks5_udp://0.0.0.0:1"]
    await net.end()


async def test_a_client_that_never_says_what_it_wants(net: Any) -> None:
    port = await net.server(echo)
    net.bounds = replace(net.bounds, sniff_seconds=0.2)
    await net.start()
    reader, writer = await by_socks(net, "ok.test", port)
    writer.write(b"GET / HT")
    assert await reader.read() == b""
    await net.end()
    assert net.witness.seen[-1].bytes_up == 0


async def test_a_tunnel_in_which_nothing_moves(net: Any) -> None:
    port = await net.server(echo)
    net.bounds = replace(net.bounds, idle_seconds=0.3)
    await net.start()
    reader, writer = await by_socks(net, "ok.test", port)
    for _ in range(3):
        writer.write(b"\0")
        assert await reader.readexactly(1) == b"\0"
        await asyncio.sleep(0.15)
    assert await reader.read() == b""
    await net.end()
    assert net.witness.seen[-1].why == "nothing moved for 0.3 seconds"


async def test_the_end_of_the_command_ends_all(net: Any) -> None:
    port = await net.server(echo)
    await net.start()
    reader, writer = await by_socks(net, "ok.test", port)
    writer.write(b"\0")
    await reader.readexactly(1)
    net.door.close()
    try:
        assert await reader.read() == b""
    except ConnectionError:
        pass
    assert net.witness.lines[-1] == f"cut socks5_tcp://ok.test:{port}"
    with pytest.raises(OSError):
        await net.connect()
    await net.end()


@given(st.binary(max_size=300))
def test_any_first_bytes_are_something(data: bytes) -> None:
    assert isinstance(look(data), Seen)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 59))
def test_what_is_known_stays_known(data: bytes, at: int) -> None:
    early = look(data[:at])
    if early not in (Seen.MORE,) and at < len(data):
        assert look(data) in (early, Seen.HTTP, Seen.OTHER)
