"""A conversation that plays a script: the fake behind the tests of every frontend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from agent.protocol.approvals import ApprovalReply
from agent.protocol.events import ApprovalAnswered, ApprovalAsked, Closed, Event, TurnInterrupted
from agent.protocol.ops import Close, Interrupt, Op, Reply, StartTurn


class Pause:
    """A step of a script: nothing happens until the turn is interrupted."""


class ScriptedConversation:
    """Plays one list of steps a turn. After an ask it waits for the answer; every op is kept."""

    def __init__(self, *turns: Sequence[Event | Pause], opening: Sequence[Event] = ()) -> None:
        self.thread_id = "01a20d4e-aca5-7b58-be20-604575c745a0"
        self.ops: list[Op] = []
        self._turns = list(turns)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._answered: asyncio.Queue[ApprovalReply] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        for event in opening:
            self._events.put_nowait(event)

    async def submit(self, op: Op) -> None:
        self.ops.append(op)
        match op:
            case StartTurn():
                self._running = asyncio.create_task(self._play(self._turns.pop(0)))
            case Reply(reply):
                self._answered.put_nowait(reply)
            case Interrupt():
                if self._running is not None and not self._running.done():
                    self._running.cancel()
                    self._events.put_nowait(TurnInterrupted("interrupted by the user"))
            case Close():
                if self._running is not None:
                    self._running.cancel()
                self._events.put_nowait(Closed())

    async def events(self) -> AsyncIterator[Event]:
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, Closed):
                return

    @property
    def replies(self) -> list[ApprovalReply]:
        """The answers that came, in order."""
        return [op.reply for op in self.ops if isinstance(op, Reply)]

    async def _play(self, steps: Sequence[Event | Pause]) -> None:
        for step in steps:
            if isinstance(step, Pause):
                await asyncio.Event().wait()
            else:
                self._events.put_nowait(step)
                if isinstance(step, ApprovalAsked):
                    reply = await self._answered.get()
                    self._events.put_nowait(ApprovalAnswered(reply, step.request.call_id))
