"""SOCKS5 (RFC 1928) without authentication: what a client asks for, and the answers to it."""

from __future__ import annotations

import asyncio
import enum
import socket
from typing import Final

from execpolicy.values import frozen

VERSION: Final = 5
_NO_AUTHENTICATION: Final = 0
_NONE_ACCEPTABLE: Final = b"\x05\xff"
_CONNECT: Final = 1
_UDP: Final = 3
_FOUR, _NAME, _SIX = 1, 3, 4


class Reply(enum.IntEnum):
    DONE = 0
    FAILURE = 1
    REFUSED = 2  # by the rules
    UNREACHABLE = 4
    NO_COMMAND = 7
    NO_ADDRESS = 8

    @property
    def message(self) -> bytes:
        return bytes((VERSION, self, 0, _FOUR)) + bytes(6)


@frozen
class Wish:
    host: str
    port: int
    udp: bool


class Unfit(Exception):
    """Not a request that is served; `answer` is what the client gets before the end."""

    def __init__(self, why: str, answer: bytes = b"") -> None:
        super().__init__(why)
        self.answer = answer


async def read_wish(version: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Wish:
    """What the client wants, whose first byte is `version`.

    Raises `Unfit`, and `IncompleteReadError` where it ends too early.
    """
    if version != VERSION:
        raise Unfit("not SOCKS5", b"\x00\x5b" + bytes(6))  # as SOCKS4 says no
    count = (await reader.readexactly(1))[0]
    if _NO_AUTHENTICATION not in await reader.readexactly(count):
        raise Unfit("the client insists on a login", _NONE_ACCEPTABLE)
    writer.write(bytes((VERSION, _NO_AUTHENTICATION)))
    version, command, _, kind = await reader.readexactly(4)
    if version != VERSION:
        raise Unfit("not SOCKS5", Reply.FAILURE.message)
    if kind == _FOUR:
        host = socket.inet_ntop(socket.AF_INET, await reader.readexactly(4))
    elif kind == _SIX:
        host = socket.inet_ntop(socket.AF_INET6, await reader.readexactly(16))
    elif kind == _NAME:
        size = (await reader.readexactly(1))[0]
        try:
            host = (await reader.readexactly(size)).decode("ascii")
        except UnicodeDecodeError:
            raise Unfit("a name that is not ASCII", Reply.NO_ADDRESS.message) from None
    else:
        raise Unfit("an unknown kind of address", Reply.NO_ADDRESS.message)
    port = int.from_bytes(await reader.readexactly(2), "big")
    if command not in (_CONNECT, _UDP):
        raise Unfit("only outgoing connections are served", Reply.NO_COMMAND.message)
    return Wish(host, port, command == _UDP)
