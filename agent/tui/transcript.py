"""Events on the screen, streamed in line; what scrolled away stays as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from agent.protocol.approvals import Answer
from agent.protocol.events import (
    ApprovalAnswered,
    ApprovalAsked,
    ApprovalMissing,
    CallFailed,
    Closed,
    CommandEnded,
    CommandOutput,
    CommandStarted,
    Compacted,
    Event,
    Judged,
    MessageDone,
    NetworkUsed,
    PatchEnded,
    PatchStarted,
    PlanUpdated,
    ReasoningDone,
    Retrying,
    Status,
    TextDelta,
    ThreadStarted,
    ToolEnded,
    ToolStarted,
    TurnCompleted,
    TurnFailed,
    TurnInterrupted,
    TurnStarted,
    Warned,
)
from agent.protocol.plain import command_text, labelled, message_text, one_line, output_text, visible
from agent.protocol.verdicts import headed, reason, remarkable, rule_place, way_out
from agent.tui.approvals import Line
from agent.tui.flow import Flow, rows
from execpolicy.decision import Decision

if TYPE_CHECKING:
    from rich.console import Console

    from agent.protocol.approvals import ApprovalRequest

MOST_LINES = 20  # of one output on the screen
_STYLES = {
    "": "",
    "quiet": "dim",
    "command": "bold",
    "allow": "green",
    "ask": "yellow",
    "deny": "red",
    "error": "bold red",
    "added": "green",
    "removed": "red",
    "title": "bold cyan",
}
_ANSWERED = {
    Answer.YES: "yes",
    Answer.SESSION: "yes, for this session",
    Answer.PROJECT: "yes, kept for this project (`agent approvals list`)",
    Answer.USER: "yes, kept for you (`agent approvals list`)",
    Answer.NO: "no",
    Answer.STOP: "stop",
}
_MARK = {"pending": "☐", "in_progress": "▸", "completed": "☑"}


_RETURN = "\u240d"  # how a carriage return at the end of a line is made visible


@dataclass(slots=True)
class _Live:
    """Output of a running command: lines on the screen, and the start of the next."""

    command: str = ""
    shown: int = 0
    held: str = ""


class Screen:
    """Writes to one rich console. Text of others is made visible before it gets there."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._streamed = ""  # text of the message that is on its way
        self._flow = self._new_flow()
        self._running: dict[str, _Live] = {}  # call id -> its output so far
        self._asked: dict[str, ApprovalRequest] = {}  # request id -> what waits for an answer
        self._last_judged = ""  # call id of the block that was begun last

    def say(self, text: str, style: str = "", end: str = "\n") -> None:
        """One text in one style, wrapped by the terminal alone. `text` is taken as safe."""
        from rich.text import Text

        safe = text.encode("utf-8", "replace").decode("utf-8")
        self._console.print(Text(safe, style=_STYLES[style]), end=end, soft_wrap=True)

    def tell(self, text: str, style: str = "") -> None:
        """A text of ours or about a call: on a terminal broken between words. `text` is taken as safe."""
        flow = self._new_flow()
        self.say(flow.feed(text) + flow.end(), style)

    def card(self, title: str, lines: list[Line]) -> None:
        """Lines behind a bar. Each row has the bar, so that no text can pass for the card itself."""
        from rich.cells import cell_len

        width = max(20, self._console.width - 4)
        self.say(f"╭─ {title}", "ask")
        for line in lines:
            mark = line.mark
            text = line.text.expandtabs(4).encode("utf-8", "replace").decode("utf-8")
            for row in rows(text, width - len(mark), cell_len):
                self.say("│ ", "ask", end="")
                self.say(mark, line.style or "quiet", end="")
                self.say(row, line.style)
                mark = " " * len(mark)
        self.say("╰─", "ask")

    def event(self, event: Event) -> None:
        """Show `event`; an ask is shown by who asks it."""
        if self._streamed and not isinstance(event, TextDelta | MessageDone | Retrying):
            self._break()
        match event:
            case ThreadStarted():
                self._thread(event)
            case TurnStarted(prompt=prompt):
                self.say(f"\n› {visible(prompt)}", "title")
            case TextDelta(text):
                if not self._streamed:
                    self.say("")
                self._streamed += text
                self.say(self._flow.feed(message_text(text)), end="")
            case MessageDone(text):
                if text and not self._streamed:
                    self.say("\n" + self._flow.feed(message_text(text)), end="")
                    self._streamed = text
                self._break()
            case ReasoningDone(text):
                if text:
                    self.say("\n" + message_text(text), "quiet")
            case Judged():
                self._verdict(event)
            case ApprovalAsked(request):
                self._asked[request.id] = request
            case PatchStarted() | ToolStarted() | Closed():
                pass
            case CommandStarted(call_id, command):
                self._running[call_id] = _Live(command)
            case CommandOutput(call_id, text):
                self._output(call_id, text)
            case ApprovalAnswered(reply):
                if asked := self._asked.pop(reply.request_id, None):
                    self._continue(asked.call_id, headed(asked.tool, asked.subject))
                said = f": {visible(reply.message)}" if reply.message else ""
                self.say(f"  answered: {_ANSWERED[reply.answer]}{said}", "quiet")
            case NetworkUsed() | ApprovalMissing():
                pass  # what was refused stands in the result of its command
            case CommandEnded():
                self._command(event)
            case PatchEnded():
                self._patch(event)
            case PlanUpdated(steps):
                self.say("\nplan", "title")
                for step in steps:
                    self.say(f"  {_MARK.get(step.status, '?')} {one_line(step.step)}")
            case ToolEnded(tool=tool, status=status, subject=subject, message=message):
                said = f": {one_line(message, 400)}" if message else ""
                self.say(f"\n{one_line(tool)} {status.value}: {one_line(subject, 300)}{said}", "quiet")
            case Compacted(before, after):
                self.say(f"\nsummed up: {before:,} tokens became about {after:,}", "quiet")
            case CallFailed(tool=tool, message=message):
                self.say(f"\ncall of `{one_line(tool)}` failed: {one_line(message, 400)}", "error")
            case Retrying(attempt, most, cause, seconds):
                self._break()
                text = f"the answer broke off, try {attempt} of {most} in {seconds:.1f}s: {one_line(cause)}"
                self.say(text, "quiet")
            case Warned(message, help):
                self.tell(labelled("warning", message), "ask")
                if help:
                    self.tell(f"help: {visible(help)}", "quiet")
            case TurnFailed(message, help):
                self.tell(f"\nerror: {visible(message)}", "error")
                if help:
                    self.tell(f"help: {visible(help)}")
            case TurnInterrupted(why):
                self.say(f"\ninterrupted{': ' + visible(why) if why else ''}", "ask")
            case TurnCompleted():
                pass
            case _:
                assert_never(event)

    def _break(self) -> None:
        if self._streamed:
            self.say(self._flow.end(), end="" if self._streamed.endswith("\n") else "\n")
        self._streamed = ""
        self._flow = self._new_flow()

    def _new_flow(self) -> Flow:
        from rich.cells import cell_len

        # What is no terminal gets lines as they are.
        return Flow(self._console.width if self._console.is_terminal else 1 << 30, cell_len)

    def _thread(self, event: ThreadStarted) -> None:
        about = [one_line(event.model), one_line(event.cwd, 60), one_line(event.sandbox)]
        again = " (resumed)" if event.resumed else ""
        self.tell(
            " · ".join([part for part in about if part] + [f"session {event.thread_id}{again}"]), "quiet"
        )

    def _verdict(self, event: Judged) -> None:
        verdict = event.verdict
        if not remarkable(verdict):
            return
        self._last_judged = event.call_id
        lines = command_text(headed(event.tool, event.subject)).split("\n")
        self.say("\n" + "\n".join(_few(lines)), "command")
        rule = verdict.deciding
        by = f" by {visible(rule_place(rule))}" if rule else ""
        why = reason(verdict)
        word = verdict.decision.word
        self.tell(f"  {word}{by}{': ' + visible(why) if why else ''}", word)
        if verdict.decision is Decision.DENY and (instead := way_out(verdict)):
            self.tell(f"  way out: {visible(instead)}")

    def _output(self, call_id: str, text: str) -> None:
        """Whole lines as they come, while no other command could speak in between."""
        live = self._running.get(call_id)
        if live is None or len(self._running) > 1 or live.shown >= MOST_LINES:
            return
        *lines, live.held = (live.held + text).split("\n")
        if lines:
            self._continue(call_id, f"$ {live.command}")
        for line in lines[: MOST_LINES - live.shown]:
            self.say(f"  {output_text(line).removesuffix(_RETURN)}", "quiet")
            live.shown += 1

    def _continue(self, call_id: str, head: str) -> None:
        """Calls that run side by side speak in any order: say which one it is."""
        if call_id != self._last_judged:
            self._last_judged = call_id
            self.say(f"\n{one_line(head)}", "command")

    def _command(self, event: CommandEnded) -> None:
        live = self._running.pop(event.call_id, _Live())
        self._continue(event.call_id, f"$ {event.command}")
        if event.status is Status.DECLINED:
            self.say("  not run", "deny")
            return
        text = output_text(event.output).rstrip("\n")
        lines = text.split("\n") if text else []
        for line in _few(lines[live.shown :], MOST_LINES if not live.shown else MOST_LINES // 2):
            self.say(f"  {line}", "quiet")
        match event:
            case CommandEnded(status=Status.INTERRUPTED):
                how = "interrupted"
            case CommandEnded(timed_out=True):
                how = "timed out"
            case CommandEnded(signal=int(number)):
                how = f"ended by signal {number}"
            case _:
                how = f"exit {event.exit_code}"
        self.say(f"  {how} · {event.seconds:.2f}s", "allow" if event.exit_code == 0 else "ask")

    def _patch(self, event: PatchEnded) -> None:
        if event.status is not Status.COMPLETED:
            self.say(f"  not applied: {visible(event.message)}", "deny")
            return
        for change in event.changes:
            self.say(f"  {change.kind} {one_line(change.path)}", "allow")
        for line in _few(visible(event.diff).rstrip("\n").split("\n") if event.diff else []):
            self.say(f"  {line}", {"+": "added", "-": "removed"}.get(line[:1], "quiet"))


def _few(lines: list[str], most: int = MOST_LINES) -> list[str]:
    if len(lines) <= most:
        return lines
    half = most // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} lines …", *lines[-half:]]
