"""The name a TLS client asks for, read from its first message and from nothing else (RFC 8446 4.1.2, RFC 6066 3)."""

from __future__ import annotations

import enum
from typing import Final

from execpolicy.values import frozen

HANDSHAKE: Final = 0x16
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0
_MOST: Final = 1 << 16


class Unread(enum.Enum):
    MORE = "more"  # what there is could be the start of one
    NONE = "none"  # no such message


@frozen
class Hello:
    """A whole first message. None: it names no server."""

    name: str | None


class _Short(Exception):
    """Ends before its time."""


class _Bytes:
    """Reads from the front; whoever reads behind the end gets `_Short`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise _Short
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        """All that is left."""
        return self.take(self.left).decode("ascii")

    def part(self, size: int) -> _Bytes:
        """What stands behind a length of `size` bytes."""
        return _Bytes(self.take(self.number(size)))


def read_hello(data: bytes) -> Hello | Unread:
    """The client's first message, from all bytes it has sent so far. Never raises."""
    message = _handshake(data)
    if isinstance(message, Unread):
        return message
    try:
        return _hello(_Bytes(message))
    except (_Short, UnicodeDecodeError):
        return Unread.NONE


def _handshake(data: bytes) -> bytes | Unread:
    """The body of the first handshake message, put together from its records."""
    body = bytearray()
    records = _Bytes(data[:_MOST])
    while True:
        if len(body) >= 4:
            if body[0] != _CLIENT_HELLO:
                return Unread.NONE
            size = int.from_bytes(body[1:4], "big")
            if size > _MOST:
                return Unread.NONE
            if len(body) >= 4 + size:
                return bytes(body[4 : 4 + size])
        if not records.left:
            break
        try:
            kind, version = records.number(1), records.number(1)
            if kind != HANDSHAKE or version != 3:
                return Unread.NONE
            records.take(1)
            size = records.number(2)
            if not 0 < size <= 1 << 14:
                return Unread.NONE
            body += records.take(size)
        except _Short:
            break
    return Unread.MORE if len(data) < _MOST else Unread.NONE


def _hello(message: _Bytes) -> Hello | Unread:
    message.take(2 + 32)  # version, random
    message.part(1)  # session
    message.part(2)  # ciphers
    message.part(1)  # compressions
    if not message.left:
        return Hello(None)
    extensions = message.part(2)
    name: str | None = None
    seen = False
    while extensions.left:
        kind = extensions.number(2)
        body = extensions.part(2)
        if kind != _SERVER_NAME:
            continue
        names = body.part(2)
        if seen or body.left or names.number(1) != _HOST_NAME:
            return Unread.NONE
        seen = True
        name = names.part(2).text()
        if names.left:  # a second name: which one the server takes is its own choice
            return Unread.NONE
    return Unread.NONE if message.left else Hello(name)
