"""A conversation driven through plain lines, as with pipes."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
from collections.abc import Callable

import pytest
from rich.console import Console

from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import (
    ApprovalAsked,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    FileChange,
    Judged,
    MessageDone,
    PatchEnded,
    PlanStep,
    PlanUpdated,
    Retrying,
    Status,
    TextDelta,
    ThreadStarted,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
    Warned,
)
from agent.protocol.items import Usage
from agent.protocol.ops import Close, Interrupt, StartTurn
from agent.protocol.scripted import Pause, ScriptedConversation
from agent.tui.app import Terminal
from agent.tui.composer import LineInput
from agent.tui.transcript import Screen
from execpolicy.decision import Decision, Part, Verdict
from execpolicy.values import replace

ASKED = Verdict(
    decision=Decision.ASK,
    parts=(Part(kind="command", text="make", decision=Decision.ASK, why="no rule speaks about `make`"),),
)
DENIED = Verdict(decision=Decision.DENY, suggest="leave it")
END = TurnCompleted(Usage(1000, 0, 234))


def ask(number: int = 1) -> ApprovalAsked:
    return ApprovalAsked(
        ApprovalRequest(
            id=f"ask-{number}",
            call_id=f"c{number}",
            tool="exec_command",
            subject="make",
            cwd="/w",
            verdict=ASKED,
            session_grant="exactly this",
        )
    )


class Run:
    """What one run with piped input came to."""

    def __init__(
        self,
        conversation: ScriptedConversation,
        typed: str,
        prompt: str | None = "do it",
        *,
        lasting: bool = False,
        keep_open: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        read, write = os.pipe()
        os.write(write, typed.encode())
        if not keep_open:
            os.close(write)
        screen = io.StringIO()
        source = LineInput(read, screen.write, lasting=lasting)
        console = Console(file=screen, highlight=False, markup=False, width=80)
        front = Terminal(conversation, Screen(console), source, record="/h/audit")

        async def run() -> None:
            if meanwhile is not None:
                asyncio.get_running_loop().call_later(0.4, meanwhile)
            await asyncio.wait_for(front.run(prompt), 20)

        asyncio.run(run())
        if keep_open:
            os.close(write)
        self.text = screen.getvalue()
        self.failed = front.failed
        self.terminated = front.terminated
        self.answers = [(reply.answer, reply.message) for reply in conversation.replies]


def test_a_piped_yes_is_taken() -> None:
    conversation = ScriptedConversation(
        [
            TurnStarted("1", "do it"),
            Judged("c1", "exec_command", "make", ASKED),
            ask(),
            MessageDone("ok"),
            END,
        ]
    )
    run = Run(conversation, "y\n")
    assert run.answers == [(Answer.YES, "")]
    assert not run.failed
    for want in ("› do it", "╭─ approval", "│ $ make", "[y] yes, once", "answered: yes", "\nok\n"):
        assert want in run.text, want
    assert conversation.ops[-1] == Close()


def test_several_answers_come_from_several_lines() -> None:
    conversation = ScriptedConversation([ask(1), ask(2), ask(3), ask(4), END])
    run = Run(conversation, "s\nmaybe\nn use make test\nn\nx\n")
    assert run.answers == [
        (Answer.SESSION, ""),
        (Answer.NO, "use make test"),
        (Answer.NO, ""),
        (Answer.STOP, ""),
    ]
    assert "answer y, s, n, x or v" in run.text


def test_calls_side_by_side_say_which_one_speaks() -> None:
    plan = Verdict(decision=Decision.ALLOW, parts=(Part(kind="tool", text="p", decision=Decision.ALLOW),))
    run = Run(
        ScriptedConversation(
            [
                Judged("p", "update_plan", "update_plan: 3 steps", plan),
                Judged("m", "apply_patch", "apply_patch: M a.py", ASKED),
                Judged("a", "exec_command", "one", ASKED),
                Judged("b", "exec_command", "two", ASKED),
                CommandStarted("a", "one", "/w"),
                CommandStarted("b", "two", "/w"),
                CommandEnded("b", "two", "from two\n", 0, Status.COMPLETED),
                CommandOutput("a", "from one\n"),
                CommandEnded("a", "one", "from one\nand more\n", 0, Status.COMPLETED),
                END,
            ]
        ),
        "",
    )
    assert "update_plan" not in run.text
    assert "\napply_patch: M a.py\n" in run.text
    tail = run.text[run.text.index("$ two") :]
    assert [line for line in tail.split("\n") if line.startswith(("$", "  from", "  and"))] == [
        "$ two",
        "  from two",
        "$ one",
        "  from one",
        "  and more",
    ]


@pytest.mark.parametrize("typed", ["", "\n", "what\n"])
def test_the_end_of_input_refuses_and_says_so(typed: str) -> None:
    run = Run(ScriptedConversation([ask(1), ask(2), END]), typed)
    assert [answer for answer, _ in run.answers] == [Answer.NO, Answer.NO]
    assert "input ended" in run.answers[0][1]
    assert "no answer: the input ended, so this is refused" in run.text


def test_an_answer_stands_below_the_command_that_it_is_about() -> None:
    asked = [Judged("c1", "exec_command", "make", ASKED), Judged("c2", "exec_command", "other", ASKED)]
    run = Run(ScriptedConversation([*asked, ask(1), END]), "n not now\n")
    assert "\n$ make\n  answered: no: not now\n" in run.text


def test_words_for_the_program_are_not_given_to_the_model() -> None:
    conversation = ScriptedConversation([MessageDone("ok"), END])
    run = Run(conversation, "/help\n/nope\n/etc/hosts is what?\n/quit\n", None, lasting=True)
    assert "interrupts the task" in run.text
    assert "there is no `/nope`: /help shows what there is" in run.text
    assert [op.text for op in conversation.ops if isinstance(op, StartTurn)] == ["/etc/hosts is what?"]


def test_a_last_line_without_its_end_counts() -> None:
    assert Run(ScriptedConversation([ask(), END]), "y").answers == [(Answer.YES, "")]


def test_without_a_prompt_each_line_is_a_task() -> None:
    conversation = ScriptedConversation([ask(), END], [END])
    run = Run(conversation, "first\ny\n\nsecond\n", None, lasting=True)
    assert [op for op in conversation.ops if isinstance(op, StartTurn)] == [
        StartTurn("first"),
        StartTurn("second"),
    ]
    assert run.answers == [(Answer.YES, "")]


def test_a_no_may_bring_its_message_on_the_next_line() -> None:
    run = Run(ScriptedConversation([ask(), END]), "n\nuse make test\n", lasting=True)
    assert run.answers == [(Answer.NO, "use make test")]


def test_a_question_for_a_host_is_counted_and_no_word_of_the_model() -> None:
    asked = replace(ask().request, tool="network", subject="connect to a.test:80 (http)", reason="it waits")
    run = Run(ScriptedConversation([ApprovalAsked(asked), END]), "y\n")
    assert "│ it waits\n" in run.text
    assert "the model says" not in run.text
    assert " · 1 asked · " in run.text


def test_the_summary_counts_and_names_the_record() -> None:
    change = FileChange("/w/a.py", "update")
    run = Run(
        ScriptedConversation(
            [
                Judged("a", "exec_command", "make", ASKED),
                CommandEnded("a", "make", "", 0, Status.COMPLETED),
                Judged("b", "exec_command", "rm", DENIED),
                CommandEnded("b", "rm", "denied", None, Status.DECLINED),
                PatchEnded("c", (change,), Status.COMPLETED),
                PatchEnded("d", (change,), Status.COMPLETED),
                PatchEnded("e", (FileChange("/w/b.py", "add"),), Status.FAILED, "no"),
                END,
            ]
        ),
        "",
    )
    summary = "done · 1 command run · 1 asked · 1 denied · 1 file changed · 1,234 tokens so far · "
    assert summary in run.text
    assert "record: /h/audit (`agent audit verify` checks it)" in run.text
    assert "  way out: leave it" in run.text


def test_everything_is_shown_and_nothing_steers_the_terminal() -> None:
    bad = "\x1b]0;x\x07\x1b[2J\x9b"
    run = Run(
        ScriptedConversation(
            [
                ThreadStarted("t-1", model="m" + bad, cwd="/w"),
                Warned("w" + bad, "h" + bad),
                TextDelta("Hel" + bad),
                TextDelta("lo"),
                MessageDone("Hello" + bad),
                PlanUpdated((PlanStep("p" + bad, "completed"),)),
                Judged("a", "exec_command", "make" + bad, ASKED),
                CommandStarted("a", "make", "/w"),
                CommandOutput("a", "live 1\r\nli"),
                CommandOutput("a", "ve 2\n"),
                CommandEnded("a", "make", "live 1\r\nlive 2\nlast" + bad, 3, Status.FAILED, 0.5),
                Retrying(1, 5, "cut" + bad, 0.2),
                TurnFailed("bad" + bad, "help" + bad),
            ]
        ),
        "",
    )
    assert run.failed
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", run.text)
    shown = "␛]0;x␇␛[2J⟨U+009B⟩"
    for want in ("m" + shown, "Hel" + shown + "lo\n", "☑ p" + shown, "$ make" + shown, "last" + shown):
        assert want in run.text, want
    assert run.text.count("live 1") == run.text.count("live 2") == 1
    assert "  exit 3 · 0.50s" in run.text
    assert "try 1 of 5" in run.text


def test_rows_of_a_card_all_have_their_bar() -> None:
    request = ask().request
    from dataclasses import replace

    long = replace(request, subject="echo " + "x" * 500 + "\n日本" * 3)
    run = Run(ScriptedConversation([ApprovalAsked(long), END]), "y\n")
    inside = run.text[run.text.index("╭─") : run.text.index("╰─")].split("\n")[1:-1]
    assert all(line.startswith("│ ") for line in inside)
    assert "".join(line[2:].strip() for line in inside).count("x") == 501  # exec_command


def test_control_c_interrupts_the_task() -> None:
    conversation = ScriptedConversation([TurnStarted("1", "do it"), Pause()])
    run = Run(
        conversation, "", lasting=False, keep_open=True, meanwhile=lambda: os.kill(os.getpid(), signal.SIGINT)
    )
    assert Interrupt() in conversation.ops
    assert "interrupted by the user" in run.text
    assert "interrupted · 0 commands run" in run.text


def test_control_c_at_a_question_stops() -> None:
    conversation = ScriptedConversation([ask(), END])
    run = Run(conversation, "", keep_open=True, meanwhile=lambda: os.kill(os.getpid(), signal.SIGINT))
    assert run.answers == [(Answer.STOP, "")]
    assert Interrupt() not in conversation.ops


def test_control_c_twice_at_the_prompt_ends() -> None:
    def twice() -> None:
        loop = asyncio.get_running_loop()
        os.kill(os.getpid(), signal.SIGINT)
        loop.call_later(0.1, os.kill, os.getpid(), signal.SIGINT)

    run = Run(ScriptedConversation(), "", None, lasting=True, keep_open=True, meanwhile=twice)
    assert "Ctrl-C again or Ctrl-D ends the session" in run.text


def test_a_termination_signal_closes_the_session() -> None:
    conversation = ScriptedConversation([TurnStarted("1", "do it"), Pause()])
    run = Run(
        conversation,
        "",
        lasting=True,
        keep_open=True,
        meanwhile=lambda: os.kill(os.getpid(), signal.SIGTERM),
    )
    assert conversation.ops[-1] == Close()
    assert run.terminated


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_no_color_is_honoured(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", highlight=False)
    Screen(console).say("x", "deny")
    assert ("\x1b[31m" in out.getvalue()) is coloured
