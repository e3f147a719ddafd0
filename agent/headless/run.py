"""Drives one task of a conversation to its end, whatever ends it."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import signal
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from agent.headless.answer import AnswerForm, asked_again
from agent.protocol.approvals import Answer, ApprovalReply
from agent.protocol.conversation import Conversation
from agent.protocol.events import (
    ApprovalAsked,
    CallFailed,
    Closed,
    CommandEnded,
    Event,
    Judged,
    MessageDone,
    PatchEnded,
    Refusal,
    ToolEnded,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.ops import Close, Interrupt, Reply, StartTurn
from execpolicy.decision import Decision
from execpolicy.values import replace, slotted

GRACE_SECONDS = 10.0  # from the wish to end until the end that is waited for
IMPATIENT_SECONDS = 1.0  # the same, once the wish came twice
NOBODY = "nobody is there to answer: this run is not interactive"


class End(enum.Enum):
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@slotted
class Outcome:
    """What a task came to."""

    end: End = End.FAILED
    last_message: str = ""
    asked: int = 0
    denied: int = 0
    unrecorded: int = 0  # calls that were refused because they could not be recorded


class Show(Protocol):
    """Where events go."""

    def event(self, event: Event) -> None: ...

    def interrupted(self, reason: str) -> None:
        """The task was ended from outside and the conversation did not say so in time."""
        ...

    def misfit(self, errors: tuple[str, ...]) -> None:
        """The final message does not have the form asked for; the model is asked once more."""
        ...


async def run_task(
    conversation: Conversation,
    prompt: str,
    show: Show,
    *,
    images: tuple[str, ...] = (),
    form: AnswerForm | None = None,
    late: Callable[[Warned], None] = lambda warned: None,
    hurry: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run one task and close the conversation. A signal ends it early, with everything flushed.

    `late` hears what went wrong while it was closed. `hurry` is called at once when a signal comes, also while
    an event is shown.
    """
    start = StartTurn(prompt, images, form.text_format if form is not None else None)
    outcome = Outcome()
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    pump = asyncio.ensure_future(_pump(conversation, events))
    stop = _Stop(conversation, events)
    with _signals(stop, hurry):
        try:
            await conversation.submit(start)
            if not await _follow(conversation, events, show, outcome, stop, form):
                show.interrupted(stop.reason or "the conversation closed")
                outcome.end = End.INTERRUPTED if stop.reason else End.FAILED
        finally:
            await _close(conversation, events, late, stop.grace)
            pump.cancel()
    return outcome


async def _pump(conversation: Conversation, events: asyncio.Queue[Event | None]) -> None:
    """The one reader of the conversation: a wait for an event can then be given up at any time."""
    async for event in conversation.events():
        events.put_nowait(event)
    events.put_nowait(None)


class _Stop:
    """The wish to end, from a signal."""

    def __init__(self, conversation: Conversation, events: asyncio.Queue[Event | None]) -> None:
        self.reason = ""
        self.grace = GRACE_SECONDS
        self._conversation = conversation
        self._events = events
        self._tasks: set[asyncio.Task[None]] = set()

    def wish(self, name: str) -> None:
        if self.reason:  # asked twice: do not wait for the conversation
            self.grace = IMPATIENT_SECONDS
            self._events.put_nowait(None)
            return
        self.reason = name
        asyncio.get_running_loop().call_later(self.grace, self._events.put_nowait, None)
        task = asyncio.ensure_future(self._conversation.submit(Interrupt()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _follow(
    conversation: Conversation,
    events: asyncio.Queue[Event | None],
    show: Show,
    outcome: Outcome,
    stop: _Stop,
    form: AnswerForm | None,
) -> bool:
    """Show events until the task ends; False when it was given up or the conversation just closed.

    An answer that does not fit is asked for once more. For who looks on, both turns are one.
    """
    again = False
    while True:
        event = await events.get()
        if event is None or isinstance(event, Closed):
            return False
        if isinstance(event, TurnInterrupted) and stop.reason:
            event = replace(event, reason=stop.reason)
        if again and isinstance(event, TurnStarted):
            continue
        if form is not None and isinstance(event, TurnCompleted) and not stop.reason:
            errors = await asyncio.to_thread(form.errors, outcome.last_message)
            if errors and not again and not stop.reason:
                again = True
                show.misfit(errors)
                await conversation.submit(StartTurn(asked_again(errors), (), form.text_format))
                continue
            if errors:
                event = TurnFailed(
                    f"the final message does not fit the output schema: {errors[0]}",
                    "simplify the schema, or say in the prompt what it wants",
                    event.usage,
                )
        _note(event, outcome)
        show.event(event)
        if isinstance(event, ApprovalAsked):
            no = ApprovalReply(request_id=event.request.id, answer=Answer.NO, message=NOBODY)
            await conversation.submit(Reply(no))
        if isinstance(event, TurnCompleted | TurnFailed | TurnInterrupted):
            return True


def _note(event: Event, outcome: Outcome) -> None:
    match event:
        case MessageDone(text):
            outcome.last_message = text
        case Judged(verdict=verdict):
            outcome.asked += verdict.decision is Decision.ASK
            outcome.denied += verdict.decision is Decision.DENY
        case (
            CallFailed(refusal=Refusal.RECORD)
            | CommandEnded(refusal=Refusal.RECORD)
            | PatchEnded(refusal=Refusal.RECORD)
            | ToolEnded(refusal=Refusal.RECORD)
        ):
            outcome.unrecorded += 1
        case TurnCompleted():
            outcome.end = End.DONE
        case TurnInterrupted():
            outcome.end = End.INTERRUPTED
        case _:
            pass


async def _close(
    conversation: Conversation,
    events: asyncio.Queue[Event | None],
    late: Callable[[Warned], None],
    seconds: float,
) -> None:
    async def until_closed() -> None:
        await conversation.submit(Close())
        while not isinstance(event := await events.get(), Closed):
            if isinstance(event, Warned):
                late(event)

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(until_closed(), seconds)


@contextlib.contextmanager
def _signals(stop: _Stop, hurry: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    taken: list[tuple[signal.Signals, Any]] = []

    def listen(number: signal.Signals) -> Callable[[], None]:
        return lambda: stop.wish(number.name)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before = signal.getsignal(number)
        if before is signal.SIG_IGN and number is signal.SIGHUP:  # started to outlive its terminal
            continue
        # Not every loop can (Windows has none), and only that of the main thread may.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, listen(number))
            # The loop hears of it by other means, when it is not held up.
            signal.signal(number, lambda *_: hurry())
            taken.append((number, before))
    try:
        yield
    finally:
        for number, before in taken:
            loop.remove_signal_handler(number)
            signal.signal(number, before)
