"""One turn: ask the model, run its calls as they arrive, answer them, repeat until it makes none.

Calls of one answer run side by side, those that change files by ourselves alone. What arrived is written
down before it is acted on, and an output as soon as there is one: a broken stream neither runs a call twice
nor loses one that ran.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import assert_never

from agent.core.compaction import replacement
from agent.core.context import CALL_TYPES, OUTPUT_TYPES, History, is_call, sound, usage_to
from agent.core.journal import COMPACTED, ITEM, TURN, USAGE, Journal
from agent.core.prompts import text
from agent.errors import AgentError, ModelError
from agent.llm.client import (
    ItemArrived,
    ModelClient,
    ModelRequest,
    ResponseDone,
    RetryScheduled,
    TextArrived,
)
from agent.protocol.events import (
    Compacted,
    MessageDone,
    ReasoningDone,
    Retrying,
    Status,
    TextDelta,
    ToolEnded,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    Warned,
)
from agent.protocol.items import (
    JsonObject,
    Usage,
    call_output,
    developer_message,
    message_text,
    user_message,
)
from agent.tools.base import Emit, ToolCall
from agent.tools.dispatch import Dispatcher
from execpolicy.values import frozen, replace, slotted

HOSTED_CALLS = ("web_search_call",)  # done by the model service, told to us
TurnEnd = TurnCompleted | TurnFailed | TurnInterrupted
_ABORTED = (
    "<turn_aborted>\nThe user interrupted the turn. Commands that were running were stopped and may have done "
    "part of their work. Look before you go on.\n</turn_aborted>"
)


@frozen(kw_only=True)
class TurnParts:
    """What every turn of a thread works with."""

    thread_id: str
    model: ModelClient
    model_name: str
    dispatcher: Dispatcher
    history: History
    journal: Journal
    emit: Emit
    opening: tuple[JsonObject, ...] = ()  # the messages before the first prompt
    hosted: tuple[JsonObject, ...] = ()  # tools that the model service runs by itself
    reasoning: JsonObject | None = None
    verbosity: str = ""
    compact_tokens: int = 0  # length at which the conversation is summed up; 0: never
    state: Callable[[], str] = str  # what a summary must not lose, beside what the conversation itself says
    prepare: Callable[[], Awaitable[None]] | None = None  # waited for before the first request
    halted: Callable[[], None] | None = None  # told when a turn is ended from outside
    max_steps: int = 500
    seconds: float = 3600.0  # of one turn, waiting for a person not counted
    waited: Callable[[], float] = float  # seconds that somebody has been asked for


@slotted
class _Running:
    """A call under way."""

    task: asyncio.Task[None]
    exclusive: bool


class Turn:
    """Runs once."""

    def __init__(self, parts: TurnParts) -> None:
        self._parts = parts
        self._history = parts.history
        self._emit = parts.emit
        self._calls: list[_Running] = []
        self._begun: set[str] = set()
        self._stream: asyncio.Task[bool] | None = None
        self._stopped: TurnFailed | TurnInterrupted | None = None
        self._last_message = ""
        self._text_format: JsonObject | None = None

    async def run(
        self, prompt: str, images: Sequence[str] = (), text_format: JsonObject | None = None
    ) -> TurnEnd:
        """The whole turn. Never raises for what a model, a tool or a disk does."""
        self._text_format = text_format
        clock = asyncio.create_task(self._watch_time())
        try:
            self._parts.journal.write(TURN, {"state": "started", "prompt": prompt})
            self._say(sound(user_message(prompt, images)))
            end = await self._steps()
        except AgentError as error:
            end = TurnFailed(str(error), error.help, self._history.usage)
        except Exception as error:  # noqa: BLE001 - a turn ends here, whatever went wrong in it
            end = TurnFailed(f"internal error: {type(error).__name__}: {error}", "", self._history.usage)
        finally:
            clock.cancel()
        return self._written(end)

    def interrupt(self, reason: str = "interrupted by the user") -> None:
        """End the turn soon: the stream is dropped, running calls are killed, recorded and answered."""
        self._stop(TurnInterrupted(reason))

    def _stop(self, end: TurnFailed | TurnInterrupted) -> None:
        if self._stopped is not None:
            return
        self._stopped = end
        if self._parts.halted is not None:
            self._parts.halted()
        if self._stream is not None:
            self._stream.cancel()
        for call in self._calls:
            # A task that has not begun would end without a record; it sees `_stopped` when it begins.
            if call.task.get_name() in self._begun:
                call.task.cancel()

    # --- steps --------------------------------------------------------------------------------

    async def _steps(self) -> TurnEnd:
        await self._prepare()
        for _ in range(self._parts.max_steps):
            await self._make_room()
            if self._stopped is None and not await self._step():
                return TurnCompleted(self._history.usage, self._last_message)
            if self._stopped is not None:
                return self._ended_early(self._stopped)
        return TurnFailed(
            f"the turn took more than {self._parts.max_steps} model requests",
            "say `go on` to let it continue",
            self._history.usage,
        )

    async def _prepare(self) -> None:
        """What the first request needs. To wait for it can be given up, as an answer can."""
        if self._parts.prepare is None or self._stopped is not None:
            return
        self._stream = asyncio.create_task(_done(self._parts.prepare()))
        await asyncio.wait({self._stream})
        if not self._stream.cancelled():
            self._stream.result()

    async def _step(self) -> bool:
        """One request with everything that follows from it. False: the model has no more to do."""
        self._calls.clear()
        self._stream = asyncio.create_task(self._receive())
        await asyncio.wait({self._stream})
        while pending := {call.task for call in self._calls if not call.task.done()}:
            await asyncio.wait(pending)
        tasks = [call.task for call in self._calls]
        errors = [task.exception() for task in (self._stream, *tasks) if not task.cancelled()]
        for error in filter(None, errors):  # all were looked at: one that was not would be printed at exit
            raise error
        complete = not self._stream.cancelled() and self._stream.result()
        return bool(tasks) or not complete

    async def _make_room(self) -> None:
        """Sum up a conversation that has grown too long, and go on whatever comes of that."""
        limit = self._parts.compact_tokens
        before = self._history.tokens
        if not limit or before < limit or self._stopped is not None:
            return
        self._stream = asyncio.create_task(self._sum_up(before))
        await asyncio.wait({self._stream})
        if self._stream.cancelled():
            return
        error = self._stream.exception()
        if isinstance(error, ModelError):
            self._emit(
                Warned(f"the conversation could not be summed up: {error}", "old outputs were left out")
            )
            self._history.make_room(0.5)
        elif error is not None:
            raise error

    async def _sum_up(self, before: int) -> bool:
        parts = self._parts
        items = self._history.input()
        ask = user_message(text("compact"))
        request = replace(self._request(), input=(*parts.opening, *items, ask), tools=(), text_format=None)
        summary: list[str] = []
        usage = Usage()
        async for event in parts.model.stream(request):
            match event:
                case ItemArrived(item):
                    summary.append(message_text(item) if item.get("type") == "message" else "")
                case RetryScheduled(attempt, most, cause, seconds):
                    self._emit(Retrying(attempt, most, cause, seconds))
                case ResponseDone(spent, _, complete):
                    usage = spent
                    if not complete:
                        raise ModelError("the summary broke off")
                case TextArrived():
                    pass
                case _:
                    assert_never(event)
        if not "".join(summary).strip():
            raise ModelError("the model gave no summary")
        kept = replacement(items, "\n\n".join(filter(None, summary)), parts.state())
        parts.journal.write(COMPACTED, {"items": list(kept)})
        self._history.replace(kept)
        self._history.usage = self._history.usage + usage
        parts.journal.write(USAGE, usage_to(self._history.usage))
        self._emit(Compacted(before, self._history.tokens))
        return True

    def _request(self) -> ModelRequest:
        parts = self._parts
        return ModelRequest(
            model=parts.model_name,
            input=(*parts.opening, *self._history.input()),
            tools=(*parts.dispatcher.registry.schemas, *parts.hosted),
            cache_key=parts.thread_id,
            text_format=self._text_format,
            verbosity=parts.verbosity,
            reasoning=parts.reasoning,
        )

    async def _receive(self) -> bool:
        """Read one answer and start its calls. False: it broke off and has to be asked for again."""
        parts = self._parts
        request = self._request()
        done: ResponseDone | None = None
        try:
            async for event in parts.model.stream(request):
                match event:
                    case TextArrived(piece):
                        self._emit(TextDelta(piece))
                    case ItemArrived(item):
                        self._take(sound(item))
                    case RetryScheduled(attempt, most, cause, seconds):
                        self._emit(Retrying(attempt, most, cause, seconds))
                    case ResponseDone():
                        done = event
                    case _:
                        assert_never(event)
        finally:
            self._close(done.usage if done is not None else Usage())
        if done is None:
            raise ModelError("the model's answer ended before it was complete")
        return done.complete

    # --- items --------------------------------------------------------------------------------

    def _take(self, item: JsonObject) -> None:
        kind = item.get("type")
        if kind in CALL_TYPES:
            self._take_call(item)
        elif kind == "message" and item.get("role", "assistant") == "assistant":
            self._keep(item)
            if said := message_text(item):
                self._last_message = said
                self._emit(MessageDone(said))
        elif kind == "reasoning":
            self._keep(item)
            if thought := _summary(item):
                self._emit(ReasoningDone(thought))
        elif kind in HOSTED_CALLS:
            self._keep(item)
            self._emit(_hosted(item))
        elif not isinstance(kind, str) or kind == "message" or kind in OUTPUT_TYPES:
            self._emit(Warned("the model sent an item that a model cannot send; it was dropped"))
        else:
            self._keep(item)
            self._emit(Warned(f"the model sent an item of type `{kind[:100]}`, which is not acted on"))

    def _take_call(self, item: JsonObject) -> None:
        call_id = item.get("call_id")
        if not is_call(item) or not isinstance(call_id, str):
            self._emit(Warned("the model made a call without an id; it was ignored"))
            return
        if self._history.knows_call(call_id):
            self._emit(Warned(f"the model sent call `{call_id[:100]}` a second time; it was not run again"))
            return
        self._keep(item)
        dispatcher = self._parts.dispatcher
        call = dispatcher.registry.settle(_call_of(item, call_id))
        exclusive = dispatcher.registry.exclusive(call)
        after = [running.task for running in self._calls if exclusive or running.exclusive]
        task = asyncio.create_task(self._answer(item, call, after), name=call_id)
        self._calls.append(_Running(task, exclusive))

    async def _answer(self, item: JsonObject, call: ToolCall, after: list[asyncio.Task[None]]) -> None:
        self._begun.add(call.id)
        dispatcher = self._parts.dispatcher
        if self._stopped is not None:
            result = dispatcher.interrupted(call)
        else:
            result = await dispatcher.dispatch(call, after)
        output = call_output(item, result.output, result.content)
        self._history.answer(output)
        self._parts.journal.write(ITEM, output)
        if result.stop:
            self.interrupt("stopped by the user")

    def _say(self, item: JsonObject) -> None:
        self._parts.journal.write(ITEM, item)
        self._history.say(item)

    def _keep(self, item: JsonObject) -> None:
        self._parts.journal.write(ITEM, item)
        self._history.receive(item)

    def _close(self, usage: Usage) -> None:
        self._history.close(usage)
        self._parts.journal.write(USAGE, usage_to(self._history.usage))

    # --- ends ---------------------------------------------------------------------------------

    def _ended_early(self, end: TurnFailed | TurnInterrupted) -> TurnEnd:
        usage = self._history.usage
        match end:
            case TurnInterrupted():
                self._say(developer_message(_ABORTED))
                return TurnInterrupted(end.reason, usage)
            case TurnFailed():
                return TurnFailed(end.message, end.help, usage)
            case _:
                assert_never(end)

    def _written(self, end: TurnEnd) -> TurnEnd:
        match end:
            case TurnCompleted():
                entry: JsonObject = {"state": "completed"}
            case TurnFailed():
                entry = {"state": "failed", "message": end.message}
            case TurnInterrupted():
                entry = {"state": "interrupted", "reason": end.reason}
            case _:
                assert_never(end)
        try:
            self._parts.journal.write(TURN, entry)
        except AgentError as error:
            return TurnFailed(str(error), error.help, self._history.usage)
        except Exception as error:  # noqa: BLE001 - a turn ends here, and whoever waits must hear of it
            return TurnFailed(
                f"the end of the turn could not be stored: {type(error).__name__}: {error}",
                "",
                self._history.usage,
            )
        return end

    async def _watch_time(self) -> None:
        started = time.monotonic()
        waited = self._parts.waited()
        while True:
            used = time.monotonic() - started - (self._parts.waited() - waited)
            left = self._parts.seconds - used
            if left <= 0:
                break
            await asyncio.sleep(left)
        self._stop(
            TurnFailed(
                f"the turn took longer than {self._parts.seconds:g} s and was stopped",
                "ask for less at once, or raise the limit in the settings",
            )
        )


def _call_of(item: JsonObject, call_id: str) -> ToolCall:
    custom = item.get("type") == "custom_tool_call"
    name = item.get("name")
    space = item.get("namespace")
    if isinstance(name, str) and isinstance(space, str) and space:
        name = f"{space}__{name}"
    payload = item.get("input" if custom else "arguments")
    return ToolCall(
        call_id,
        name if isinstance(name, str) else "",
        payload if isinstance(payload, str) else "",
        custom,
    )


def _hosted(item: JsonObject) -> ToolEnded:
    action = item.get("action")
    about = action if isinstance(action, dict) else {}
    query = about.get("query") or about.get("url") or ""
    status = Status.FAILED if item.get("status") == "failed" else Status.COMPLETED
    return ToolEnded(str(item.get("id", "")), "web_search", status, arguments=about, subject=str(query))


def _summary(item: JsonObject) -> str:
    summary = item.get("summary")
    if not isinstance(summary, list):
        return ""
    texts = [part.get("text") for part in summary if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text)


async def _done(work: Awaitable[None]) -> bool:
    await work
    return True
