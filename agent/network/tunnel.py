"""Bytes both ways, once the first ones from the client have shown that it is what it was allowed to be."""

from __future__ import annotations

import asyncio
import enum
import re
from collections.abc import Awaitable, Callable

from agent.network import hello
from agent.network.base import HTTP, HTTPS, SOCKS, Outcome, Target
from agent.network.dial import Streams
from agent.network.guard import Flow, Guard, Refusal
from execpolicy.hostname import BadName, canonical, is_address
from execpolicy.values import replace

_LINE = 1 << 14
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
# What some server or other takes for the space in a request, or passes by before one.
_BLANKS = b"\t\x0b\x0c\x1c\x1d\x1e\x1f \x85\xa0"
_BLANK = rb"[" + _BLANKS + rb"]"
# Any method: what a server makes of the host that such a request names must be seen.
_BEGUN = re.compile(_TOKEN + rb"*+(?:" + _BLANK + rb"++[^\x00]*+)?+")
_REQUEST = re.compile(_TOKEN + rb"++[ \t]++[^\n]*HTTP/1\.[0-9][ \t\r]*+")
# HTTP that is not read here: HTTP/2 without TLS, versions and forms that some servers take for the first one,
_UNREAD = re.compile(rb"[^\n]*" + _BLANK + rb"HTTP/[0-9]", re.IGNORECASE)
# requests that say no version,
_BARE = re.compile(rb"GET" + _BLANK + rb"++/|" + _TOKEN + rb"++" + _BLANK + rb"++(?i:https?)://")
# and lines that may still become one of them.
_OPEN = re.compile(rb"[A-Z]++" + _BLANK)
# A conversation in HTTP inside the tunnel: the client, the flow, and what the client has said so far.
Converse = Callable[[Streams, Flow, bytes], Awaitable[None]]
_LINGER_SECONDS = 30.0


class Seen(enum.Enum):
    """What the first bytes of a client are."""

    TLS = "tls"
    HTTP = "http"
    OTHER = "other"
    MORE = "more"  # not known yet


def look(data: bytes) -> Seen:
    """What `data`, from the first byte on, is the start of."""
    if not data:
        return Seen.MORE
    if data[0] == hello.HANDSHAKE:
        if data[1:2] not in (b"", b"\x03"):
            return Seen.OTHER
        return Seen.TLS if len(data) > 1 else Seen.MORE
    line, newline, _ = _line(data)
    if not newline:
        return Seen.MORE if len(line) < _LINE and _BEGUN.fullmatch(line) else Seen.OTHER
    # Blanks in front: it is HTTP to some servers only, and not read here.
    return Seen.HTTP if _REQUEST.fullmatch(line) and data.lstrip(b"\r\n").startswith(line) else Seen.OTHER


def _line(data: bytes) -> tuple[bytes, bytes, bytes]:
    return data.lstrip(b"\r\n" + _BLANKS).partition(b"\n")


def _strange(data: bytes, *, ended: bool) -> bool:
    """Whether some server may read it as a request, where it is none that is read here."""
    line, newline, _ = _line(data)
    return bool(_UNREAD.match(line) or _BARE.match(line) or (not newline and not ended and _OPEN.match(line)))


async def relay(client: Streams, flow: Flow, guard: Guard, first: bytes, converse: Converse) -> None:
    """Serve a tunnel to its end. What comes from the other side passes at once: some servers speak first."""
    downwards = asyncio.create_task(_down(client, flow, guard))
    try:
        data = await _sniffed(client[0], flow, guard, first)
        if data is None:
            return
        if not isinstance(data, _Http):
            await _both(client, flow, guard, data, downwards)
        elif flow.down:
            guard.cut(flow, "the server spoke before the request did")
        else:
            downwards.cancel()
            await asyncio.wait({downwards})
            await converse(client, flow, data.first)
    finally:
        downwards.cancel()


async def join(client: Streams, flow: Flow, guard: Guard, up: bytes, down: bytes) -> None:
    """Pass on both ways, without looking, until both have ended; first what was read already."""
    client[1].write(down)
    flow.down += len(down)
    await _both(client, flow, guard, up, asyncio.create_task(_down(client, flow, guard)))


async def _both(client: Streams, flow: Flow, guard: Guard, up: bytes, downwards: asyncio.Task[None]) -> None:
    flow.writer.write(up)
    flow.up += len(up)
    upwards = asyncio.create_task(_up(client, flow, guard))
    try:
        await asyncio.wait({downwards})
        # The server has said all: a client that goes on has nobody to talk to for long.
        await asyncio.wait({upwards}, timeout=_LINGER_SECONDS)
    finally:
        upwards.cancel()
        downwards.cancel()


class _Http:
    def __init__(self, first: bytes) -> None:
        self.first = first


async def _sniffed(
    reader: asyncio.StreamReader, flow: Flow, guard: Guard, data: bytes
) -> bytes | _Http | None:
    """What the client has said, once it may be passed on; None: the flow has been cut."""
    bounds = guard.bounds
    free = flow.target.protocol == SOCKS
    seen = look(data)
    wait = bounds.sniff_seconds if data else bounds.idle_seconds
    ended = False
    try:
        async with asyncio.timeout(wait) as limit:
            while True:
                if seen is Seen.TLS:
                    found = hello.read_hello(data)
                    if found is hello.Unread.NONE:
                        guard.cut(flow, "its TLS hello cannot be read")
                        return None
                    if isinstance(found, hello.Hello):
                        return data if _agrees(found, flow, guard) else None
                elif seen is not Seen.MORE or ended:
                    break
                more = await reader.read(bounds.chunk)
                if not data:
                    limit.reschedule(asyncio.get_running_loop().time() + bounds.sniff_seconds)
                ended = not more
                data += more
                seen = look(data) if seen is Seen.MORE else seen
                if ended and seen is Seen.TLS:
                    guard.cut(flow, "its TLS hello is not whole")
                    return None
    except TimeoutError:
        guard.cut(flow, "the client did not say in time what it wants")
        return None
    if seen is Seen.HTTP:
        if await _passes_as(HTTP, flow, guard, whole=not free):
            return _Http(data)
        return None
    if _strange(data, ended=ended):
        guard.cut(flow, "it carries a version of HTTP whose hosts cannot be seen", "use HTTP/1.1, or TLS")
        return None
    if data and not free:
        guard.cut(flow, "CONNECT carries TLS or HTTP only", "use SOCKS5 for other protocols")
        return None
    return data


async def _passes_as(protocol: str, flow: Flow, guard: Guard, *, whole: bool) -> bool:
    """`whole`: it needs an allow of its own as `protocol`; else only a deny counts."""
    target = replace(flow.target, protocol=protocol)
    refusal = guard.forbids(target)
    if refusal is None and whole and flow.target.protocol != protocol:
        found = await guard.allows(target)
        refusal = found if isinstance(found, Refusal) else None
    if refusal is None:
        return True
    guard.ended(flow, Outcome.CUT, refusal.text)
    return False


def _agrees(found: hello.Hello, flow: Flow, guard: Guard) -> bool:
    """The name in the hello is the host that was judged. An address may go without a name."""
    target = flow.target
    if found.name is None:
        if not is_address(target.host):
            guard.cut(flow, "its TLS hello names no server, so nobody can tell whom it speaks to")
            return False
    elif not same_host(found.name, target):
        shown = "".join(char if char.isprintable() else "?" for char in found.name[:100])
        guard.cut(flow, f"its TLS hello is for another server, `{shown}`")
        return False
    if target.protocol == SOCKS and (refusal := guard.forbids(replace(target, protocol=HTTPS))):
        guard.ended(flow, Outcome.CUT, refusal.text)
        return False
    return True


def same_host(text: str, target: Target) -> bool:
    try:
        return canonical(text) == target.host
    except BadName:
        return False


async def _up(client: Streams, flow: Flow, guard: Guard) -> None:
    def moved(size: int) -> None:
        flow.up += size

    await _pump(client[0], flow, flow.writer, guard, moved)


async def _down(client: Streams, flow: Flow, guard: Guard) -> None:
    def moved(size: int) -> None:
        flow.down += size

    await _pump(flow.reader, flow, client[1], guard, moved)


async def _pump(
    reader: asyncio.StreamReader,
    flow: Flow,
    writer: asyncio.StreamWriter,
    guard: Guard,
    moved: Callable[[int], None],
) -> None:
    """One way, to its end. A side that has gone ends it quietly; where neither moves, the flow is cut."""
    idle = guard.bounds.idle_seconds
    try:
        while True:
            before = flow.up + flow.down
            try:
                async with asyncio.timeout(idle):
                    data = await reader.read(guard.bounds.chunk)
                    if not data:
                        break
                    moved(len(data))
                    writer.write(data)
                    await writer.drain()
            except TimeoutError:
                if flow.up + flow.down == before:
                    guard.cut(flow, f"nothing moved for {idle:g} seconds")
                    writer.transport.abort()
                    return
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, RuntimeError):
        writer.transport.abort()
