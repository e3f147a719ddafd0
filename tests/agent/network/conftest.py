"""A proxy on the loopback interface of the tests, with scripted rules, a scripted resolver and real servers."""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.network.base import Bounds, Connection, Ruling, Target, Unrecorded
from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import Rooms
from execpolicy.decision import Decision

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]
ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})

    asyncio.run(bounded())
    return True


@dataclass
class Judge:
    """Says what its table says, by host, host:port or protocol://host; else it asks."""

    table: dict[str, Decision] = field(default_factory=dict)
    inexact: set[str] = field(default_factory=set)
    answer: Callable[[Target], Any] = lambda target: DENY
    asked: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)

    def judge(self, target: Target) -> Ruling:
        self.judged.append(f"{target.protocol}://{target}")
        for key in (f"{target.protocol}://{target.host}", str(target), target.host):
            if key in self.table:
                decision = self.table[key]
                exact = decision is ALLOW and target.host not in self.inexact
                return Ruling(decision=decision, reason=f"{key} is in the table", rules=(key,), exact=exact)
        return Ruling(decision=ASK, reason="no rule allows it", help="ask for a rule")

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        self.asked.append(str(target))
        found = self.answer(target)
        decision = await found if inspect.isawaitable(found) else found
        return Ruling(decision=decision, reason="somebody answered")


@dataclass
class Witness:
    seen: list[Connection] = field(default_factory=list)
    broken: bool = False

    def saw(self, connection: Connection) -> None:
        if self.broken:
            raise Unrecorded("the disk is full")
        self.seen.append(connection)

    @property
    def lines(self) -> list[str]:
        return [f"{one.outcome.value} {one.target.protocol}://{one.target}" for one in self.seen]


@dataclass
class Resolver:
    table: dict[str, Sequence[str] | list[Sequence[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    slow: set[str] = field(default_factory=set)

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host in self.slow:
            await asyncio.sleep(60)
        found = self.table.get(host)
        if found is None:
            raise socket.gaierror(-2, "Name or service not known")
        if isinstance(found, list):  # another answer each time
            return found.pop(0)
        return found  # type: ignore[return-value]


@dataclass
class Net:
    """One proxied command, and what lies behind the proxy."""

    judge: Judge = field(default_factory=Judge)
    witness: Witness = field(default_factory=Witness)
    resolver: Resolver = field(default_factory=Resolver)
    bounds: Bounds = Bounds(
        idle_seconds=5, head_seconds=2, sniff_seconds=1, connect_seconds=2, resolve_seconds=0.5
    )
    port: int = 0
    servers: list[asyncio.Server] = field(default_factory=list)

    async def start(self) -> Net:
        self.guard = Guard(self.judge, self.witness, self.resolver, self.bounds)
        self.door = ProxyDoor(Rooms(), self.guard)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        await self.door.serve(listener)
        return self

    async def server(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any], host: str = "ok.test"
    ) -> int:
        """A server that `host` leads to, and that the table allows; its port."""
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.servers.append(server)
        self.resolver.table.setdefault(host, ("127.0.0.1",))
        self.judge.table.setdefault(host, ALLOW)
        return int(server.sockets[0].getsockname()[1])

    async def talk(self, data: bytes, *, eof: bool = False) -> bytes:
        """All that the proxy answers to `data`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        if eof:
            writer.write_eof()
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def settled(self) -> None:
        """Until no connection stands any more."""
        while self.guard._flows:  # noqa: ASYNC110 - what it waits for is inside
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        with suppress(AttributeError):
            self.door.close()
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def make_net() -> type[Net]:
    return Net
