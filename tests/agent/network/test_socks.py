"""SOCKS5: what a client asks for."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.network.socks import Reply, Unfit, Wish, read_wish


class Sink:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


async def read(data: bytes) -> Wish:
    reader = asyncio.StreamReader()
    reader.feed_data(data[1:])
    reader.feed_eof()
    writer: Any = Sink()
    return await read_wish(data[0], reader, writer)


def connect(rest: bytes, command: int = 1) -> bytes:
    return b"\5\1\0" + bytes((5, command, 0)) + rest


PORT = (443).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("data", "want"),
    [
        pytest.param(connect(b"\3\4a.de" + PORT), Wish("a.de", 443, udp=False), id="name"),
        pytest.param(connect(b"\1\x7f\0\0\1" + PORT), Wish("127.0.0.1", 443, udp=False), id="four"),
        pytest.param(
            connect(b"\4" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + PORT),
            Wish("2001:db8::1", 443, udp=False),
            id="six",
        ),
        pytest.param(connect(b"\1\0\0\0\0\0\0", 3), Wish("0.0.0.0", 0, udp=True), id="datagrams"),
        pytest.param(
            b"\5\3\2\1\0" + connect(b"\3\1x" + PORT)[3:], Wish("x", 443, udp=False), id="many-methods"
        ),
    ],
)
async def test_wishes(data: bytes, want: Wish) -> None:
    assert await read(data) == want


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        pytest.param(b"\4\1\0\x50\1\2\3\4\0", b"\0\x5b" + bytes(6), id="socks4"),
        pytest.param(b"\5\1\2", b"\5\xff", id="wants-a-login"),
        pytest.param(b"\5\0", b"\5\xff", id="no-methods"),
        pytest.param(connect(b"\1\1\2\3\4\0\1", 2), Reply.NO_COMMAND.message, id="bind"),
        pytest.param(connect(b"\x09abc"), Reply.NO_ADDRESS.message, id="unknown-address"),
        pytest.param(connect(b"\3\2\xc3\xa9" + PORT), Reply.NO_ADDRESS.message, id="not-ascii"),
        pytest.param(b"\5\1\0\6\1\0\1", Reply.FAILURE.message, id="another-version"),
    ],
)
async def test_unfit(data: bytes, answer: bytes) -> None:
    with pytest.raises(Unfit) as caught:
        await read(data)
    assert caught.value.answer == answer


@given(st.binary(min_size=1, max_size=300) | st.binary(max_size=100).map(lambda data: b"\5\1\0\5\1\0" + data))
def test_any_bytes_come_to_an_end(data: bytes) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(5):
            try:
                await read(data)
            except (Unfit, asyncio.IncompleteReadError):
                pass

    asyncio.run(bounded())
