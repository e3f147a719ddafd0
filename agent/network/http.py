"""A conversation in HTTP/1.1 with a client: each request judged, and written anew for the other side.

Both sides are read by h11, and only what it has understood goes on. So there is one reading of where a message
ends, whatever a client or a server may have meant by two lengths, bare line ends or odd white space.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Coroutine, Iterable, Iterator
from typing import Final, NoReturn, TypeVar

import h11

from agent.network import tunnel
from agent.network.base import HTTP, HTTPS, Ruling, Target
from agent.network.dial import Streams
from agent.network.guard import Flow, Guard, Refusal
from execpolicy.decision import Decision
from execpolicy.hostname import BadName, canonical
from execpolicy.values import frozen

_HOP: Final = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer upgrade".split()
)
_AUTHORITY: Final = re.compile(r"(\[[^\[\]@]*\]|[^:\[\]@]+)(?::([0-9]{0,5}))?", re.ASCII)
_LINGER_SECONDS: Final = 2.0
T = TypeVar("T")


@frozen
class Place:
    """Where a request goes: host as it was written, port, and what the server is asked for."""

    host: str
    port: int
    path: str


class _Answered(Exception):
    """The conversation ends with this answer of ours."""

    def __init__(self, status: int, text: str, help: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.help = help


async def converse(client: Streams, guard: Guard, first: bytes, flow: Flow | None = None) -> None:
    """Serve requests until one side ends it. With a `flow`, in a tunnel: all go there."""
    conversation = _Conversation(client, guard, flow)
    await conversation.serve(first)


class _Conversation:
    def __init__(self, client: Streams, guard: Guard, fixed: Flow | None) -> None:
        self._reader, self._writer = client
        self._client = client
        self._guard = guard
        self._fixed = fixed
        self._near = h11.Connection(h11.SERVER, max_incomplete_event_size=guard.bounds.head_bytes)
        self._far: h11.Connection | None = None
        self._flow = fixed

    async def serve(self, first: bytes) -> None:
        if first:
            self._near.receive_data(first)
        try:
            while await self._one():
                self._near.start_next_cycle()
        except _Answered as answer:
            await self._answer(answer)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint or 400
            await self._answer(_Answered(status, f"the request cannot be read: {error}"))
        except h11.LocalProtocolError:  # a response that has no form for this client
            self._writer.transport.abort()
        finally:
            if self._flow is not None:
                self._guard.ended(self._flow)

    async def _one(self) -> bool:
        """One request and its response. True: another may follow."""
        request = await self._request()
        if request is None:
            return False
        _lengths(request)
        if len(request.headers) > self._guard.bounds.headers:
            raise _Answered(431, "too many headers")
        if request.method == b"CONNECT":
            await self._connect(request)
            return False
        place = self._place(request)
        flow = await self._open(place)
        return await self._exchange(request, place, flow)

    async def _request(self) -> h11.Request | None:
        bounds = self._guard.bounds
        try:
            async with asyncio.timeout(bounds.idle_seconds if self._far else bounds.head_seconds) as limit:
                while True:
                    event = self._near.next_event()
                    if event is h11.NEED_DATA:
                        data = await self._reader.read(bounds.chunk)
                        self._near.receive_data(data)
                        if data and self._far:
                            limit.reschedule(asyncio.get_running_loop().time() + bounds.head_seconds)
                    elif isinstance(event, h11.Request):
                        return event
                    else:
                        return None
        except TimeoutError:
            if self._near.trailing_data[0]:
                raise _Answered(408, "the request did not come in time") from None
            return None

    # --- where it goes ------------------------------------------------------------------------

    def _place(self, request: h11.Request) -> Place:
        target = request.target.decode("ascii")
        host = _header(request, b"host")
        if self._fixed is not None:
            if not target.startswith("/") and target != "*":
                raise _Answered(400, "a request in a tunnel names a path")
            place = Place(self._fixed.target.host, self._fixed.target.port, target)
        else:
            place = absolute(target)
        if host is not None and not _same_place(host, place):
            self._misled(place, "its Host header is for another host")
        return place

    async def _open(self, place: Place) -> Flow:
        """The connection for it: the last one where that is there, judged again all the same."""
        flow = self._flow
        if flow is not None:
            target = self._guard.target(place.host, place.port, flow.target.protocol)
            if target == flow.target:
                found = await self._guard.allows(flow.target)
                if isinstance(found, Refusal):
                    self._refused(found)
                if self._fixed is not None or (self._far is not None and self._far.our_state is h11.IDLE):
                    return flow
            self._guard.ended(flow)
            self._flow = self._far = None
            if self._fixed is not None:
                raise _Answered(502, "the server has ended the tunnel")
        opened = await self._guard.connect(place.host, place.port, HTTP)
        if isinstance(opened, Refusal):
            self._refused(opened)
        self._flow = opened
        return opened

    def _refused(self, refusal: Refusal) -> NoReturn:
        raise _Answered(502 if refusal.failed else 403, refusal.text, refusal.help)

    async def _connect(self, request: h11.Request) -> None:
        if self._fixed is not None:
            raise _Answered(400, "a tunnel in a tunnel")
        place = authority(request.target.decode("ascii"))
        host = _header(request, b"host")
        if host is not None and not _same_place(host, place, tunnel=True):
            self._misled(place, "its Host header is for another host")
        opened = await self._guard.connect(place.host, place.port, HTTPS)
        if isinstance(opened, Refusal):
            self._refused(opened)
        self._flow = opened
        self._send(h11.Response(status_code=200, headers=[], reason=b"Connection established"))
        await tunnel.relay(self._client, opened, self._guard, self._near.trailing_data[0], self._inside)

    async def _inside(self, client: Streams, flow: Flow, first: bytes) -> None:
        await converse(client, self._guard, first, flow)

    # --- there and back -----------------------------------------------------------------------

    async def _exchange(self, request: h11.Request, place: Place, flow: Flow) -> bool:
        if self._far is None:
            self._far = h11.Connection(h11.CLIENT, max_incomplete_event_size=self._guard.bounds.head_bytes)
        far = self._far
        switching = _wants_to_switch(request)
        headers = list(_passed(request.headers.raw_items(), switching))
        headers.insert(0, (b"Host", _authority(place).encode("ascii")))
        sent = h11.Request(method=request.method, target=place.path.encode("ascii"), headers=headers)
        self._give(flow, far.send(sent))
        upwards = asyncio.create_task(self._body(far, flow))
        try:
            done = await self._response(far, flow, upwards)
        finally:
            upwards.cancel()
            await asyncio.wait({upwards})
            if not upwards.cancelled() and isinstance(
                trouble := upwards.exception(), h11.RemoteProtocolError
            ):
                raise _Answered(400, f"the body of the request cannot be read: {trouble}")
        if not done or self._near.our_state is not h11.DONE or self._near.their_state is not h11.DONE:
            return False
        if far.our_state is h11.DONE and far.their_state is h11.DONE:
            far.start_next_cycle()
        else:
            self._guard.ended(flow)
            self._flow = self._far = None
            return self._fixed is None
        return True

    async def _body(self, far: h11.Connection, flow: Flow) -> None:
        """The body of the request, as fast as the server takes it. Half a body goes to nobody."""
        try:
            await self._all_of_body(far, flow)
        except h11.RemoteProtocolError:
            flow.writer.transport.abort()
            raise

    async def _all_of_body(self, far: h11.Connection, flow: Flow) -> None:
        while True:
            event = self._near.next_event()
            if event is h11.NEED_DATA:
                data = await self._timed(self._reader.read(self._guard.bounds.chunk), flow)
                self._near.receive_data(data)
            elif isinstance(event, h11.Data):
                self._give(flow, far.send(h11.Data(data=event.data)))
                await self._timed(flow.writer.drain(), flow)
            elif isinstance(event, h11.EndOfMessage):
                self._give(flow, far.send(h11.EndOfMessage(headers=list(_passed(event.headers.raw_items())))))
                return
            else:
                return

    async def _response(self, far: h11.Connection, flow: Flow, upwards: asyncio.Task[None]) -> bool:
        """The response, as fast as the client takes it. True: it was whole."""
        while True:
            event = _from_server(far)
            if event is h11.NEED_DATA:
                try:
                    data = await self._timed(flow.reader.read(self._guard.bounds.chunk), flow)
                except OSError:
                    data = b""
                flow.down += len(data)
                far.receive_data(data)
            elif isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                await self._switch(event, far, flow, upwards)
                return False
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == 100 or self._near.their_http_version == b"1.1":
                    self._send(_copied(event))
            elif isinstance(event, h11.Response):
                self._send(_copied(event))
            elif isinstance(event, h11.Data):
                self._send(h11.Data(data=event.data))
                await self._timed(self._writer.drain(), flow)
            elif isinstance(event, h11.EndOfMessage):
                self._send(h11.EndOfMessage(headers=list(_passed(event.headers.raw_items()))))
                await self._timed(self._writer.drain(), flow)
                if not upwards.done() and self._near.their_state is h11.SEND_BODY:
                    return False  # the server did not want to hear the end of it
                await asyncio.wait({upwards}, timeout=_LINGER_SECONDS)
                return True
            else:
                if self._near.our_state is h11.SEND_RESPONSE:
                    raise _Answered(502, "the server has ended the connection without an answer")
                return False

    async def _switch(
        self, event: h11.InformationalResponse, far: h11.Connection, flow: Flow, upwards: asyncio.Task[None]
    ) -> None:
        """Another protocol from here on, as both sides have agreed: a websocket."""
        await asyncio.wait({upwards}, timeout=_LINGER_SECONDS)
        self._send(_copied(event))
        up, down = self._near.trailing_data[0], far.trailing_data[0]
        await tunnel.join(self._client, flow, self._guard, up, down)

    # --- parts --------------------------------------------------------------------------------

    async def _timed(self, waiting: Coroutine[None, None, T], flow: Flow) -> T:
        """What is waited for, unless nothing comes for too long."""
        idle = self._guard.bounds.idle_seconds
        try:
            async with asyncio.timeout(idle):
                return await waiting
        except TimeoutError:
            self._guard.cut(flow, f"nothing moved for {idle:g} seconds")
            raise _Answered(504, f"{flow.target} did not answer in time") from None

    def _misled(self, place: Place, why: str) -> NoReturn:
        """The request says two things about where it goes."""
        target = self._guard.target(place.host, place.port, HTTP)
        if isinstance(target, Target):
            ruling = Ruling(decision=Decision.DENY, reason=why)
            raise _Answered(403, self._guard.refuse(target, ruling, why).text)
        raise _Answered(403, target.text, target.help)

    def _give(self, flow: Flow, data: bytes | None) -> None:
        if data:
            flow.writer.write(data)
            flow.up += len(data)

    def _send(self, event: h11.Event) -> None:
        if data := self._near.send(event):
            self._writer.write(data)

    async def _answer(self, answer: _Answered) -> None:
        """A last answer. Where the response has begun already, the end of the connection is the answer."""
        near = self._near
        if near.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self._writer.transport.abort()
            return
        body = f"network: {answer}\n" + (f"help: {answer.help}\n" if answer.help else "")
        text = body.encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(text))),
            ("Connection", "close"),
        ]
        with contextlib.suppress(h11.LocalProtocolError):
            self._send(h11.Response(status_code=answer.status, headers=headers))
            self._send(h11.Data(data=text))
            self._send(h11.EndOfMessage())
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._writer.drain()
                if self._writer.can_write_eof():
                    self._writer.write_eof()
                # What the client still sends is read away: a reset would take the answer from it.
                while await self._reader.read(self._guard.bounds.chunk):
                    pass


# --- reading ------------------------------------------------------------------------------------


def absolute(target: str) -> Place:
    """The place of a request to a proxy. Raises `_Answered` where it is none."""
    scheme, slashes, rest = target.partition("://")
    if not slashes or target.startswith("/"):
        raise _Answered(400, "this is a proxy: a request names a whole address, `http://host/path`")
    if scheme.lower() != "http":
        raise _Answered(400, f"`{scheme[:20]}` is not passed on this way", "use CONNECT for https")
    end = re.search(r"[/?#]", rest)
    host, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if "#" in path or "\\" in rest:
        raise _Answered(400, "the address of the request holds what has no place there")
    found = authority(host, 80)
    return Place(found.host, found.port, path if path.startswith("/") else "/" + path)


def authority(text: str, default: int | None = None) -> Place:
    """Host and port. Raises `_Answered` where it is none; `default` is the port where none is written."""
    found = _AUTHORITY.fullmatch(text)
    if found is None or not (found[2] or default):
        raise _Answered(400, "the request names no host and port, or a login with them")
    return Place(found[1], int(found[2]) if found[2] else default or 0, "")


def _same_place(header: str, place: Place, *, tunnel: bool = False) -> bool:
    try:
        said = authority(header.strip(), place.port if tunnel else 80)
        return said.port == place.port and canonical(said.host) == canonical(place.host)
    except (_Answered, BadName):
        return False


def _authority(place: Place) -> str:
    host = canonical(place.host)
    host = f"[{host}]" if ":" in host else host
    return host if place.port == 80 else f"{host}:{place.port}"


def _lengths(request: h11.Request) -> None:
    """One length, said in one way. Two of them are how requests are hidden in others."""
    sizes = [value for name, value in request.headers if name == b"content-length"]
    codings = [value for name, value in request.headers if name == b"transfer-encoding"]
    if len(sizes) + len(codings) > 1 or (codings and request.http_version != b"1.1"):
        raise _Answered(400, "the request says twice how long it is")


def _header(request: h11.Request, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in request.headers if key == name), None)


def _from_server(far: h11.Connection) -> object:
    try:
        return far.next_event()
    except h11.RemoteProtocolError as error:
        raise _Answered(502, f"the answer of the server cannot be read: {error}") from None


def _wants_to_switch(request: h11.Request) -> bool:
    """To a websocket; other protocols could carry requests that nobody sees."""
    return (_header(request, b"upgrade") or "").strip().lower() == "websocket"


def _passed(items: Iterable[tuple[bytes, bytes]], switching: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """The headers that are meant for the other side."""
    kept = list(items)
    named = b",".join(value for name, value in kept if name.lower() == b"connection").lower()
    dropped = _HOP | {token.strip() for token in named.split(b",")} | {b"host"}
    dropped -= {b"content-length", b"transfer-encoding"}
    yield from ((name, value) for name, value in kept if name.lower() not in dropped)
    if switching:
        yield from ((name, value) for name, value in kept if name.lower() == b"upgrade")
        yield b"Connection", b"Upgrade"


def _copied(event: h11.Response | h11.InformationalResponse) -> h11.Response | h11.InformationalResponse:
    switching = event.status_code == 101
    headers = list(_passed(event.headers.raw_items(), switching))
    return type(event)(status_code=event.status_code, headers=headers, reason=event.reason)
