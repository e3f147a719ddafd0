"""A conversation in this process: ops in, turns one after the other, events out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import assert_never

from agent.core.turn import Turn, TurnParts
from agent.protocol.events import Closed, Event, ThreadStarted, TurnFailed, TurnStarted, Warned
from agent.protocol.ops import Close, Interrupt, Op, Reply, StartTurn
from agent.tools.approval import ApprovalDesk


class Outbox:
    """Events on their way to the frontend, each as `shown` makes it. Ends with `Closed`."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self.shown: Callable[[Event], Iterable[Event]] = lambda event: (event,)

    def emit(self, event: Event) -> None:
        self._queue.put_nowait(event)

    async def read(self) -> AsyncIterator[Event]:
        while True:
            event = await self._queue.get()
            for one in self.shown(event):
                yield one
            if isinstance(event, Closed):
                return


class Thread:
    """A `Conversation`. Its parts are wired by the caller, and `outbox` is the one they all emit to."""

    def __init__(
        self,
        parts: TurnParts,
        *,
        desk: ApprovalDesk,
        outbox: Outbox,
    ) -> None:
        self._parts = parts
        self._desk = desk
        self._outbox = outbox
        self._release: list[Callable[[], Awaitable[None]]] = []
        self._waiting: deque[StartTurn] = deque()
        self._turns = 0
        self._turn: Turn | None = None
        self._running: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def thread_id(self) -> str:
        return self._parts.thread_id

    def owns(self, release: Callable[[], Awaitable[None]]) -> None:
        """`release` lets go of something the thread holds; it is called once, when the thread has closed."""
        self._release.append(release)

    def begin(self, started: ThreadStarted, warnings: tuple[Warned, ...] = ()) -> None:
        """Say what this conversation is, before anything else."""
        self._outbox.emit(started)
        for warning in warnings:
            self._outbox.emit(warning)

    async def submit(self, op: Op) -> None:
        """Take one op. After `Close` nothing is taken any more."""
        if self._closing is not None:
            return
        match op:
            case StartTurn():
                self._waiting.append(op)
                if self._running is None or self._running.done():
                    self._running = asyncio.create_task(self._run())
            case Reply(reply):
                if not self._desk.answer(reply):
                    self._outbox.emit(
                        Warned(f"no question `{reply.request_id}` is open; the answer was dropped")
                    )
            case Interrupt():
                self._interrupt("interrupted by the user")
            case Close():
                self._closing = asyncio.create_task(self._close())
            case _:
                assert_never(op)

    def events(self) -> AsyncIterator[Event]:
        return self._outbox.read()

    def _interrupt(self, reason: str) -> None:
        if self._waiting:
            self._outbox.emit(Warned(f"{len(self._waiting)} prompt(s) in line were dropped"))
            self._waiting.clear()
        if self._turn is not None:
            self._turn.interrupt(reason)

    async def _run(self) -> None:
        while self._waiting:
            start = self._waiting.popleft()
            self._turns += 1
            self._turn = Turn(self._parts)
            self._outbox.emit(TurnStarted(f"{self.thread_id}:{self._turns}", start.text))
            end = await self._turn.run(start.text, start.images, start.text_format)
            self._turn = None
            self._outbox.emit(end)

    async def _close(self) -> None:
        self._interrupt("the session was closed")
        try:
            if self._running is not None:
                await self._running
            while self._release:
                await self._release.pop()()
        except Exception as error:  # noqa: BLE001 - the thread ends here; its reader must hear of the end
            self._outbox.emit(
                TurnFailed(f"the session did not close cleanly: {error or type(error).__name__}")
            )
        finally:
            self._outbox.emit(Closed())
