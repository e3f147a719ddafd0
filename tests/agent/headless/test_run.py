"""One task, driven to its end, whatever ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from agent.headless import run
from agent.headless.human import HumanText
from agent.headless.run import End, Outcome, run_task
from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import (
    ApprovalAsked,
    CallFailed,
    CommandEnded,
    Event,
    Judged,
    MessageDone,
    Refusal,
    Status,
    ThreadStarted,
    ToolEnded,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
)
from agent.protocol.items import Usage
from agent.protocol.ops import Close, Interrupt, StartTurn
from agent.protocol.scripted import Pause, ScriptedConversation
from execpolicy.decision import Decision, Part, Verdict

ALLOWED = Verdict(decision=Decision.ALLOW, parts=(Part(kind="command", text="ls", decision=Decision.ALLOW),))
ASKED = Verdict(decision=Decision.ASK, parts=(Part(kind="command", text="make", decision=Decision.ASK),))
DENIED = Verdict(decision=Decision.DENY)
REQUEST = ApprovalRequest(
    id="ask-1", call_id="c", tool="exec_command", subject="make", cwd="/", verdict=ASKED
)


class Kept:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ends: list[str] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def interrupted(self, reason: str) -> None:
        self.ends.append(reason)

    def misfit(self, errors: tuple[str, ...]) -> None:
        self.ends.extend(errors)


def drive(conversation: ScriptedConversation, show: Kept) -> Outcome:
    return asyncio.run(run_task(conversation, "do it", show))


@pytest.mark.parametrize(
    "event",
    [
        CallFailed("a", "x", "no", Refusal.RECORD),
        CommandEnded("a", "ls", "no", None, Status.DECLINED, refusal=Refusal.RECORD),
        ToolEnded("a", "x", Status.DECLINED, refusal=Refusal.RECORD),
    ],
)
def test_calls_that_could_not_be_recorded_are_counted(event: Event) -> None:
    other = CommandEnded("b", "ls", "no", None, Status.DECLINED, refusal=Refusal.POLICY)
    conversation = ScriptedConversation([event, other, MessageDone("last"), TurnCompleted(Usage())])
    assert drive(conversation, Kept()) == Outcome(End.DONE, "last", unrecorded=1)


def test_a_task_that_ends_well() -> None:
    conversation = ScriptedConversation(
        [
            TurnStarted("1", "do it"),
            Judged("a", "exec_command", "ls", ALLOWED),
            Judged("b", "exec_command", "x", DENIED),
            MessageDone("first"),
            MessageDone("last"),
            TurnCompleted(Usage()),
        ],
        opening=[ThreadStarted("t")],
    )
    show = Kept()
    assert drive(conversation, show) == Outcome(End.DONE, "last", asked=0, denied=1)
    assert conversation.ops == [StartTurn("do it"), Close()]
    assert len(show.events) == 7


def test_an_ask_is_refused_because_nobody_is_there() -> None:
    conversation = ScriptedConversation([ApprovalAsked(REQUEST), TurnCompleted(Usage())])
    assert drive(conversation, Kept()).end is End.DONE
    (reply,) = conversation.replies
    assert (reply.answer, reply.request_id) == (Answer.NO, "ask-1")
    assert "not interactive" in reply.message


def test_a_task_that_fails() -> None:
    show = Kept()
    assert drive(ScriptedConversation([TurnFailed("no model")]), show).end is End.FAILED
    assert show.ends == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_and_the_end_is_told(number: signal.Signals) -> None:
    class Signalled(Kept):
        def event(self, event: Event) -> None:
            super().event(event)
            if isinstance(event, TurnStarted):
                os.kill(os.getpid(), number)

    conversation = ScriptedConversation([TurnStarted("1", "do it"), Pause()])
    show = Signalled()
    assert drive(conversation, show).end is End.INTERRUPTED
    assert show.events[-1] == TurnInterrupted(number.name)
    assert conversation.ops == [StartTurn("do it"), Interrupt(), Close()]


class Deaf(ScriptedConversation):
    """Does not hear an interrupt."""

    async def submit(self, op: object) -> None:
        if not isinstance(op, Interrupt):
            await super().submit(op)  # type: ignore[arg-type]


def test_a_conversation_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "GRACE_SECONDS", 0.05)

    class Signalled(Kept):
        def event(self, event: Event) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    show = Signalled()
    assert drive(Deaf([TurnStarted("1", "do it"), Pause()]), show).end is End.INTERRUPTED
    assert show.ends == ["SIGTERM"]


def test_asked_twice_it_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "IMPATIENT_SECONDS", 0.05)

    class Impatient(Kept):
        def event(self, event: Event) -> None:
            loop = asyncio.get_running_loop()
            loop.call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
            loop.call_later(0.15, os.kill, os.getpid(), signal.SIGINT)

    started = time.monotonic()
    show = Impatient()
    assert drive(Deaf([TurnStarted("1", "do it"), Pause()]), show).end is End.INTERRUPTED
    assert show.ends == ["SIGINT"]
    assert time.monotonic() - started < 3


def test_a_show_that_breaks_still_closes_the_conversation() -> None:
    class Broken(Kept):
        def event(self, event: Event) -> None:
            raise BrokenPipeError

    conversation = ScriptedConversation([TurnStarted("1", "do it"), Pause()])
    with pytest.raises(BrokenPipeError):
        drive(conversation, Broken())
    assert conversation.ops[-1] == Close()


def test_text_for_a_person() -> None:
    written: list[str] = []
    show = HumanText(written.append)
    for event in (
        ThreadStarted("t-1", model="m", cwd="/w", sandbox="read-only"),
        TurnStarted("1", "do it"),
        Judged("a", "exec_command", "make\x1b[2J", ASKED),
        CommandEnded("a", "make", "nobody can be asked", None, Status.DECLINED),
        CommandEnded("b", "seq 100", "\n".join(map(str, range(100))), 0, Status.COMPLETED, 0.5),
        MessageDone("fine\x07"),
        TurnCompleted(Usage(100, 40, 7)),
    ):
        show.event(event)
    text = "".join(written)
    assert "\x1b" not in text
    assert "\x07" not in text
    for want in (
        "workdir: /w\nmodel:   m\nsandbox: read-only\nsession: t-1\n",
        "\n$ make␛[2J\n",
        "  policy: ask: no rule allows it\n",
        "  refused: nobody can be asked\n",
        "  succeeded in 500ms:\n  0\n",
        "  … 60 lines left out …\n",
        "\nagent\nfine␇\n",
        "\ntokens used: 67\n",
    ):
        assert want in text, want
