"""Progress of a task for a person: one block an event on standard error, the answer on standard output."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from agent.protocol.beforehand import allowing
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
from execpolicy.decision import Decision

MOST_RULE = 4000  # characters of a rule
MOST_LINES = 40  # of one output; the record and the session hold the rest

_MARK = {"pending": "[ ]", "in_progress": "[>]", "completed": "[x]"}


class HumanText:
    """Writes progress lines to `write`. The final message is the caller's to print."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._last_judged = ""  # call id of the block that was begun last

    def event(self, event: Event) -> None:
        """Write what a person wants to know of `event`."""
        match event:
            case ThreadStarted():
                self._started(event)
            case TurnStarted(prompt=prompt):
                self._line(f"\nuser\n{visible(prompt)}")
            case TextDelta() | CommandOutput() | CommandStarted() | PatchStarted() | ToolStarted() | Closed():
                pass
            case MessageDone(text):
                self._line(f"\nagent\n{message_text(text)}")
            case ReasoningDone(text):
                if text:
                    self._line(f"\nthinking\n{message_text(text)}")
            case Judged():
                self._judged(event)
            case ApprovalAsked():
                pass
            case ApprovalAnswered(reply):
                said = f": {one_line(reply.message, 500)}" if reply.message else ""
                who = f" by {one_line(reply.approver)}" if reply.approver else ""
                self._line(f"  answer: {reply.answer.value}{who}{said}")
            case ApprovalMissing():
                self._beforehand(event)
            case NetworkUsed():
                pass  # what was refused stands in the result of its command
            case CommandEnded():
                self._ended(event)
            case PatchEnded():
                self._patched(event)
            case PlanUpdated(steps):
                self._line("\nplan")
                for step in steps:
                    self._line(f"  {_MARK.get(step.status, '[?]')} {one_line(step.step)}")
            case ToolEnded(tool=tool, status=status, subject=subject, message=message):
                said = f": {one_line(_told(message, status), 500)}" if message else ""
                self._line(f"\n{one_line(tool)} {status.value}: {one_line(subject, 300)}{said}")
            case Compacted(before, after):
                self._line(f"\nthe conversation was summed up: {before:,} tokens became about {after:,}")
            case CallFailed(tool=tool, message=message):
                self._line(f"\ncall of `{one_line(tool)}` failed: {one_line(message, 500)}")
            case Retrying(attempt, most, cause, seconds):
                self._line(f"retry {attempt}/{most} in {seconds:.1f}s: {one_line(cause, 500)}")
            case Warned(message, help):
                self._line(labelled("warning", message))
                if help:
                    self._line(f"help: {visible(help)}")
            case TurnCompleted(usage):
                fresh = usage.input_tokens - usage.cached_input_tokens + usage.output_tokens
                self._line(f"\ntokens used: {fresh:,}")
            case TurnFailed(message, help):
                self._line(f"\nerror: {visible(message)}")
                if help:
                    self._line(f"help: {visible(help)}")
            case TurnInterrupted(reason=cause):
                self.interrupted(cause)
            case _:
                assert_never(event)

    def interrupted(self, reason: str) -> None:
        """The turn was ended from outside."""
        self._line(f"\ninterrupted{': ' + visible(reason) if reason else ''}")

    def misfit(self, errors: tuple[str, ...]) -> None:
        """The final message does not fit the schema."""
        self._line("\nthe final message does not fit the output schema; asking once more")
        for error in errors:
            self._line(f"  {one_line(error, 300)}")

    def _started(self, event: ThreadStarted) -> None:
        about = (
            ("workdir", event.cwd),
            ("model", event.model),
            ("sandbox", event.sandbox),
            ("session", event.thread_id + (" (resumed)" if event.resumed else "")),
        )
        self._line("\n".join(f"{name + ':':<9}{one_line(value)}" for name, value in about if value))

    def _judged(self, event: Judged) -> None:
        verdict = event.verdict
        if not remarkable(verdict):
            return
        self._last_judged = event.call_id
        self._line(f"\n{command_text(headed(event.tool, event.subject))}")
        rule = verdict.deciding
        by = f" by {visible(rule_place(rule))}" if rule else ""
        why = reason(verdict)
        self._line(f"  policy: {verdict.decision.word}{by}{': ' + visible(why) if why else ''}")
        if verdict.decision is not Decision.ALLOW and (instead := way_out(verdict)):
            self._line(f"  way out: {visible(instead)}")

    def _beforehand(self, event: ApprovalMissing) -> None:
        """The smallest thing that would let it run without a question."""
        offers = event.offers
        for offer in (*offers.user[:1], *offers.project[: not offers.user]):
            self._line(
                f"  a rule could allow it beforehand, until {offer.ends}: {one_line(offer.extent, 500)}"
            )
            for rule in offer.rules:
                self._line(f"    {one_line(' '.join(rule.split()), MOST_RULE)}")
            for note in offer.notes:
                self._line(f"  note: {one_line(note, 500)}")
            if way := allowing(event, project=not offers.user):
                self._line(f"  to keep that rule: {way}")
            return
        for why in offers.why_not:
            self._line(f"  {one_line(why, 500)}")

    def _ended(self, event: CommandEnded) -> None:
        if event.call_id != self._last_judged:  # calls that run side by side end in any order
            self._last_judged = event.call_id
            self._line(f"\n$ {one_line(event.command)}")
        match event.status:
            case Status.DECLINED:
                told = _told(event.output, event.status).removeprefix("exec_command rejected: ")
                self._line(f"  refused: {one_line(told, 500)}")
                return
            case Status.INTERRUPTED:
                how = "interrupted"
            case Status.COMPLETED | Status.FAILED:
                how = _how(event)
            case _:
                assert_never(event.status)
        self._line(f"  {how} in {event.seconds * 1000:.0f}ms:")
        if event.output.strip():
            self._line(_indented(shortened(output_text(event.output).rstrip("\n"))))

    def _patched(self, event: PatchEnded) -> None:
        self._line(f"  patch {event.status.value}")
        for change in event.changes:
            self._line(f"  {change.kind} {one_line(change.path)}")
        if event.diff:
            self._line(shortened(visible(event.diff).rstrip("\n")))
        if event.message and event.status is not Status.COMPLETED:
            self._line(_indented(visible(event.message)))

    def _line(self, text: str) -> None:
        # A lone surrogate cannot be written in UTF-8.
        self._write(text.encode("utf-8", "replace").decode("utf-8") + "\n")


def _told(message: str, status: Status) -> str:
    """What a person wants of it: of a refusal the first line, for the rest is said to the model."""
    return message.partition("\n")[0] if status is Status.DECLINED else message


def _how(event: CommandEnded) -> str:
    if event.timed_out:
        return "timed out"
    if event.signal is not None:
        return f"was ended by signal {event.signal}"
    return "succeeded" if event.exit_code == 0 else f"exited {event.exit_code}"


def shortened(text: str, most: int = MOST_LINES) -> str:
    """Head and tail of a text of many lines, with the number of those left out."""
    lines = text.split("\n")
    if len(lines) <= most:
        return text
    half = most // 2
    return "\n".join([*lines[:half], f"… {len(lines) - 2 * half} lines left out …", *lines[-half:]])


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.split("\n"))
