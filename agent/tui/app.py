"""A conversation on a terminal: tasks in, events out, asks answered, a summary after each task."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest
from agent.protocol.conversation import Conversation
from agent.protocol.events import (
    ApprovalAsked,
    Closed,
    Event,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.ops import Close, Interrupt, Reply, StartTurn
from agent.tui.approvals import card, question, read_choice
from agent.tui.composer import Input, Interrupted
from agent.tui.tally import Tally
from agent.tui.transcript import Screen

PROMPT = "› "
HELP = """\
A line is a task for the model. Beside that:
  /help          shows this
  /quit, /exit   end the session, as Ctrl-D does; `agent resume` goes on with it
  Ctrl-C         interrupts the task"""
_SLASH = re.compile("/[A-Za-z]*")  # one word that can only be meant for this program
NO_ANSWER = "nobody answered: the input ended"
CLOSE_SECONDS = 10.0
OPENING_SECONDS = 0.2  # for the first word of a conversation


@dataclass(slots=True)
class Terminal:
    """One conversation, one screen, one input."""

    conversation: Conversation
    screen: Screen
    input: Input
    record: str = ""  # where the audit record lies
    failed: bool = False  # the last task did not come to its end
    tasks: int = 0
    terminated: bool = False  # a signal ended the session
    images: tuple[str, ...] = ()  # data URLs that go with the first task
    _events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    _busy: bool = False
    _asking: bool = False
    _typed: bool = False  # the task stands on the screen already
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, prompt: str | None) -> None:
        """Work on `prompt`, then on what the person asks for next, until the person is done."""
        pump = asyncio.ensure_future(self._pump())
        with self._signals():
            try:
                await self._opening()
                while not self._ending.is_set():
                    self._typed = prompt is None and self.input.lasting
                    if prompt is None:
                        prompt = await self._next_task()
                    if prompt is None:
                        break
                    if not await self._task(prompt):
                        break
                    prompt = None
                    if not self.input.lasting:
                        break
            finally:
                await self._close()
                pump.cancel()

    async def _pump(self) -> None:
        """The one reader of the conversation: a wait for an event can then be given up at any time."""
        async for event in self.conversation.events():
            self._events.put_nowait(event)
        self._events.put_nowait(Closed())

    async def _opening(self) -> None:
        """What the conversation says before its first task."""
        with contextlib.suppress(TimeoutError):
            self.screen.event(await asyncio.wait_for(self._events.get(), OPENING_SECONDS))
        while not self._events.empty():
            self.screen.event(self._events.get_nowait())

    async def _next_task(self) -> str | None:
        warned = False
        while not self._ending.is_set():
            self.screen.say("")
            try:
                line = await self.input.ask(PROMPT, fresh=False)
            except Interrupted:
                if warned:
                    return None
                warned = True
                self.screen.say("Ctrl-C again or Ctrl-D ends the session", "quiet")
                continue
            word = "/quit" if line is None else line.strip()
            if word in ("/quit", "/exit"):
                return None
            if _SLASH.fullmatch(word):
                self.screen.tell(
                    HELP if word == "/help" else f"there is no `{word}`: /help shows what there is"
                )
            elif word:
                return line
        return None

    async def _task(self, prompt: str) -> bool:
        """One task to its end; False when the conversation itself has ended."""
        self.tasks += 1
        tally = Tally()
        started = time.monotonic()
        self._busy = True
        try:
            await self.conversation.submit(StartTurn(prompt, self.images))
            self.images = ()  # they go with the first task
            while True:
                event = await self._events.get()
                tally.event(event)
                if not (self._typed and isinstance(event, TurnStarted)):
                    self.screen.event(event)
                match event:
                    case ApprovalAsked(request):
                        self._asking = True
                        try:
                            reply = await self._answer(request)
                        finally:
                            self._asking = False
                        await self.conversation.submit(Reply(reply))
                    case TurnCompleted() | TurnFailed() | TurnInterrupted():
                        return True
                    case Closed():
                        return False
                    case _:
                        pass
        finally:
            self._busy = False
            self.failed = tally.failed
            self.screen.say("")
            self.screen.tell(tally.line(time.monotonic() - started), "title")
            if self.record:
                self.screen.tell(f"record: {self.record} (`agent audit verify` checks it)", "quiet")

    async def _answer(self, request: ApprovalRequest) -> ApprovalReply:
        self.screen.card("approval", card(request))
        while True:
            self.screen.tell(question(request))
            try:
                line = await self.input.ask("answer: ", fresh=True)
            except Interrupted:
                return _reply(request, Answer.STOP, "")
            if line is None:
                self.screen.say("\nno answer: the input ended, so this is refused", "deny")
                return _reply(request, Answer.NO, NO_ANSWER)
            choice = read_choice(line, request)
            if isinstance(choice, str):
                self.screen.say(choice, "ask")
            elif choice.answer is None:
                self.screen.card("all of it", card(request, whole=True))
            elif choice.answer is Answer.NO and not choice.message and self.input.lasting:
                return _reply(request, Answer.NO, await self._message())
            else:
                return _reply(request, choice.answer, choice.message, wide=choice.wide)

    async def _message(self) -> str:
        try:
            return (await self.input.ask("tell the model (Enter: nothing): ", fresh=False) or "").strip()
        except Interrupted:
            return ""

    async def _close(self) -> None:
        async def until_closed() -> None:
            await self.conversation.submit(Close())
            while not isinstance(event := await self._events.get(), Closed):
                if isinstance(event, TurnFailed | Warned):
                    self.screen.event(event)

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until_closed(), CLOSE_SECONDS)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        taken: list[signal.Signals] = []
        handlers: tuple[tuple[signal.Signals, Callable[[], None]], ...] = (
            (signal.SIGINT, self._interrupt),
            (signal.SIGTERM, self._end),
            (signal.SIGHUP, self._end),
        )
        for number, handler in handlers:
            # Not every loop can (Windows has none), and only that of the main thread may.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, handler)
                taken.append(number)
        try:
            yield
        finally:
            for number in taken:
                loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        self.input.interrupt()
        if self._busy and not self._asking:  # a question that is open is answered with stop
            self._submit(Interrupt())

    def _end(self) -> None:
        self._ending.set()
        self.terminated = True
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._events.put_nowait, Closed())
        self._interrupt()

    def _submit(self, op: Interrupt) -> None:
        task = asyncio.ensure_future(self.conversation.submit(op))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reply(request: ApprovalRequest, answer: Answer, message: str, *, wide: bool = False) -> ApprovalReply:
    return ApprovalReply(request_id=request.id, answer=answer, message=message, approver=_user(), wide=wide)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"
