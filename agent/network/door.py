"""The proxy of one command: listens inside its network, serves what comes, and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from agent.network import socks, tunnel
from agent.network.base import SOCKS, SOCKS_UDP, Ruling, Target
from agent.network.dial import Streams
from agent.network.guard import Flow, Guard, Refusal
from agent.network.rooms import NoRoom, Rooms
from execpolicy.decision import Decision

_TELL_SECONDS = 5.0
_SETTLE_SECONDS = 0.2


class ProxyDoor:
    """A `Door`. Needs a running event loop."""

    def __init__(self, rooms: Rooms, guard: Guard) -> None:
        self._rooms = rooms
        self._guard = guard
        self._standing: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._closed = False

    def open(self, told: int, hold: int) -> None:
        self._standing = asyncio.get_running_loop().create_task(self._stand(told, hold))

        def close(_: object) -> None:
            os.close(told)
            os.close(hold)

        # Not in the task: one that is cancelled before it has begun cleans nothing up.
        self._standing.add_done_callback(close)

    async def settle(self) -> None:
        """The ends of connections that a command leaves behind are read a little after its own."""
        if self._clients:
            await asyncio.wait(tuple(self._clients), timeout=_SETTLE_SECONDS)

    def close(self) -> None:
        self._closed = True
        if self._standing is not None:
            self._standing.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        for task, writer in tuple(self._clients.items()):
            task.cancel()
            writer.transport.abort()
        self._guard.close()

    def news(self) -> tuple[str, ...]:
        return self._guard.news()

    async def _stand(self, told: int, hold: int) -> None:
        """Until the listener stands, the child waits. Without one it runs, and reaches nothing."""
        try:
            listener = await self._rooms.listener(os.dup(told))
            await self.serve(listener)
        except (NoRoom, OSError) as error:
            self._guard.note(f"there is no proxy, and so no network: {error}")
            await _read_away(told)  # a child that cannot say who it is would end
        else:
            with contextlib.suppress(OSError):  # the child has ended already
                os.write(hold, b"\n")

    async def serve(self, listener: socket.socket) -> None:
        """Serve on `listener` from now on."""
        # In two steps, of which the first never waits: a task that is cancelled leaves a server that `close` knows.
        self._server = await asyncio.start_server(
            self._arrived, sock=listener, limit=self._guard.bounds.chunk, start_serving=False
        )
        await self._server.start_serving()

    def _arrived(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed or len(self._clients) >= self._guard.bounds.connections:
            writer.transport.abort()
            return
        # asyncio does it only where the listener names its protocol. Else half an answer waits for the other half.
        accepted = writer.get_extra_info("socket")
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._client(reader, writer))
        self._clients[task] = writer
        task.add_done_callback(self._clients.pop)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._guard.bounds.head_seconds):
                first = await reader.readexactly(1)
            if first[0] in (4, socks.VERSION):
                await self._socks(first[0], (reader, writer))
            else:
                from agent.network.http import converse

                await converse((reader, writer), self._guard, first)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001 - a client is a task of its own, and what it sends is foreign
            writer.transport.abort()
            self._guard.note(f"a connection broke: {type(error).__name__}: {error}")
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    async def _socks(self, version: int, client: Streams) -> None:
        reader, writer = client
        try:
            async with asyncio.timeout(self._guard.bounds.head_seconds):
                wish = await socks.read_wish(version, reader, writer)
        except socks.Unfit as error:
            writer.write(error.answer)
            return
        if wish.udp:
            self._no_datagrams(wish)
            writer.write(socks.Reply.NO_COMMAND.message)
            return
        found = await self._guard.connect(wish.host, wish.port, SOCKS)
        if isinstance(found, Refusal):
            reply = socks.Reply.UNREACHABLE if found.failed else socks.Reply.REFUSED
            writer.write(reply.message)
            return
        try:
            writer.write(socks.Reply.DONE.message)
            await tunnel.relay(client, found, self._guard, b"", self._inside)
        finally:
            self._guard.ended(found)

    async def _inside(self, client: Streams, flow: Flow, first: bytes) -> None:
        from agent.network.http import converse

        await converse(client, self._guard, first, flow)

    def _no_datagrams(self, wish: socks.Wish) -> None:
        why = "datagrams are not passed on"
        host = wish.host if wish.host not in ("0.0.0.0", "::", "") else "0.0.0.0"
        target = self._guard.target(host, wish.port or 1, SOCKS_UDP)
        if isinstance(target, Target):
            self._guard.refuse(target, Ruling(decision=Decision.DENY, reason=why), why, "use TCP")


async def _read_away(descriptor: int) -> None:
    """Until nobody is left to write; not for long."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def read() -> None:
        if not os.read(descriptor, 4096):
            ended.set()

    loop.add_reader(descriptor, read)
    try:
        async with asyncio.timeout(_TELL_SECONDS):
            await ended.wait()
    except TimeoutError:
        pass
    finally:
        loop.remove_reader(descriptor)
