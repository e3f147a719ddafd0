"""One helper of the model: a turn of its own, with the parts of the thread that started it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agent.core.context import History
from agent.core.journal import NoJournal
from agent.core.turn import Turn, TurnParts
from agent.protocol.events import (
    Compacted,
    Event,
    MessageDone,
    PlanUpdated,
    ReasoningDone,
    TextDelta,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
)
from agent.tools.agents import NAMES
from agent.tools.base import Tool
from agent.tools.dispatch import Dispatcher
from agent.tools.registry import Registry
from agent.tools.running import RunningCommands
from execpolicy.values import replace

# What a helper says is for the model that started it; what it does is for everybody.
_UNTOLD = (TextDelta, MessageDone, ReasoningDone, PlanUpdated, Compacted)


async def run_helper(
    parts: TurnParts,
    dispatcher: Callable[[Registry, Callable[[Event], None], str], Dispatcher],
    tools: Callable[[RunningCommands], tuple[Tool, ...]],
    name: str,
    message: str,
) -> tuple[str, str]:
    """Its whole life: how it ended, and its last message. On cancellation nothing of it goes on."""

    def emit(event: Event) -> None:
        if not isinstance(event, _UNTOLD):
            parts.emit(event)

    running = RunningCommands()
    own = tools(running)
    names = {tool.name for tool in own}
    shared = [
        tool for tool in parts.dispatcher.registry.tools if tool.name not in names and tool.name not in NAMES
    ]
    made = dispatcher(Registry((*own, *shared)), emit, name)
    history = History()
    turn = Turn(
        replace(
            parts,
            thread_id=f"{parts.thread_id}:{name}",
            dispatcher=made,
            history=history,
            journal=NoJournal(),
            emit=emit,
            state=running.described,
            prepare=None,
            halted=None,
        )
    )
    work = asyncio.ensure_future(turn.run(message))
    try:
        try:
            end = await asyncio.shield(work)
        except asyncio.CancelledError:
            turn.interrupt("the agent was closed")
            await asyncio.wait({work})
            raise
    finally:
        await running.close()
        await made.aclose()
        parts.history.usage = parts.history.usage + history.usage
    match end:
        case TurnCompleted(last_message=said):
            return "completed", said
        case TurnFailed(message=why):
            return "failed", why
        case TurnInterrupted(reason=why):
            return "interrupted", why
