"""The input tool: more output of a running command, and input for it, judged by what would read it.

A shell is given whole lines, which are judged as a script together with all it was given before: folder,
variables and functions carry over. Any other program makes of its input what it likes, so that is an ask
unless a rule about `write_stdin` allows it.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from agent.protocol.events import Event, Refusal, Status, ToolEnded
from agent.protocol.items import JsonObject
from agent.sandbox.spec import SandboxSpec
from agent.tools.arguments import read_arguments
from agent.tools.base import BadCall, Emit, FeedProgram, Grant, Prepared, Ran, RunScript, ToolCall, UseTool
from agent.tools.bounds import bounded
from agent.tools.frame import frame, shorten, with_news
from agent.tools.running import HISTORY, Running, RunningCommands
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen

NAME = "write_stdin"
INTERRUPT, END = "\x03", "\x04"
_TOO_FREE = (
    f"{NAME} rejected: this is to run under a stricter sandbox than the shell has. Nothing was given; run it as a "
    "command of its own with exec_command."
)
MOST_INPUT = 32_000  # characters of one call


class _Arguments(msgspec.Struct, frozen=True):
    session_id: int
    chars: str = ""
    yield_time_ms: float | None = None
    max_output_tokens: float | None = None
    justification: str | None = None


class InputTool:
    """`write_stdin`."""

    name = NAME
    exclusive = False

    def __init__(self, running: RunningCommands, *, output_tokens: int = 10_000) -> None:
        self._running = running
        self._output_tokens = output_tokens

    @property
    def schema(self) -> JsonObject:
        return {
            "type": "function",
            "name": NAME,
            "description": "Gets the new output of a command that still runs, after giving it input if there is "
            "some. Input for a shell is judged as a command; input for another program usually needs a yes.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": {
                    "session_id": {"type": "number", "description": "As exec_command named it."},
                    "chars": {
                        "type": "string",
                        "description": "The input; empty: only look. \\u0003 alone ends the command, \\u0004 "
                        "alone ends its input. A line counts when its newline is there.",
                    },
                    "yield_time_ms": {
                        "type": "number",
                        "description": "How long to wait for output (250 with input; without input 5000, at "
                        "most 300000).",
                    },
                    "max_output_tokens": {"type": "number", "description": "Show less output."},
                    "justification": {
                        "type": "string",
                        "description": "One sentence for the person who may be asked: what it is for.",
                    },
                },
                "required": ["session_id"],
                "additionalProperties": False,
            },
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        arguments = read_arguments(call, _Arguments)
        if isinstance(arguments, BadCall):
            return arguments
        running = self._running.find(arguments.session_id)
        if running is None:
            return BadCall(f"{NAME} failed: Unknown process id {arguments.session_id}")
        chars = arguments.chars
        wait = (250, 250, 30_000) if chars else (5000, 5000, 300_000)
        most = self._output_tokens
        numbers = bounded(
            NAME,
            yield_time_ms=(arguments.yield_time_ms, *wait),
            max_output_tokens=(arguments.max_output_tokens, most, 1, most),
        )
        if isinstance(numbers, BadCall):
            return numbers
        if flaw := _flaw(running, chars):
            return BadCall(f"{NAME} failed: {flaw}")
        text, held = _lines(running, chars) if running.shell else (chars, "")
        return _PreparedInput(
            call=call,
            tool=self._running,
            running=running,
            chars=chars,
            text=text,
            held=held,
            before=running.history,
            was_held=running.held,
            reason=arguments.justification or "",
            seconds=numbers["yield_time_ms"] / 1000,
            tokens=int(numbers["max_output_tokens"]),
        )


def _lines(running: Running, chars: str) -> tuple[str, str]:
    """The whole lines, and what is held until its line is whole."""
    if chars in ("", INTERRUPT, END):
        return "", running.held
    whole, newline, rest = (running.held + chars).rpartition("\n")
    return whole + newline, rest


def _flaw(running: Running, chars: str) -> str:
    """What keeps `chars` from being given to it."""
    if chars in ("", INTERRUPT):
        return ""
    if not running.session.takes_input:
        if running.session.running:
            return "this command has no input; run it again with tty=true"
        return "the command has ended; an empty chars shows the rest of its output"
    if len(chars) > MOST_INPUT:
        return f"at most {MOST_INPUT} characters at once; write a file first"
    if chars == END:
        return ""
    try:
        chars.encode()
    except UnicodeError:
        return "the text holds characters that no input can hold"
    if running.shell:
        if any(ord(char) < 32 and char not in "\n\t" for char in chars) or "\x7f" in chars:
            return "a shell takes lines of text only, without control characters"
        if len(running.history) + len(running.held) + len(chars) > HISTORY:
            return "this shell was given as much as one can be; open another one"
    return ""


@frozen(kw_only=True)
class _PreparedInput:
    call: ToolCall
    tool: RunningCommands
    running: Running
    chars: str
    text: str  # what would be given
    held: str  # what would be kept back
    before: str  # the history that `text` is judged with
    was_held: str
    reason: str
    seconds: float
    tokens: int

    @property
    def _subject(self) -> str:
        command = f"session {self.running.number} (`{self.running.command}`)"
        match self.chars:
            case "":
                return f"look at {command}"
            case "\x03":
                return f"end {command}"
            case "\x04":
                return f"end the input of {command}"
            case _:
                return f"start of a line for {command}: {self.held!r}"

    @property
    def request(self) -> RunScript | FeedProgram | UseTool:
        running = self.running
        if self.chars in ("", INTERRUPT, END) or not self.text:
            arguments: JsonObject = {"session_id": running.number, "chars": self.chars}
            return UseTool(subject=self._subject, cwd=running.cwd, arguments=arguments, reason=self.reason)
        if running.shell:
            return RunScript(script=self.text, cwd=running.cwd, before=self.before, reason=self.reason)
        return FeedProgram(program=running.command, text=self.text, cwd=running.cwd, reason=self.reason)

    def check(self) -> str:
        return ""

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        running, session = self.running, self.running.session
        started = time.monotonic()
        note = ""
        try:
            match self.chars:
                case "":
                    pass
                case "\x03":
                    await session.stop()
                case "\x04" if running.shell:
                    session.close_input()
                case "\x04":
                    await session.write(END.encode())
                case _:
                    if running.shell and self.text and not _confined_enough(running.spec, grant.spec):
                        return self._ran(_TOO_FREE, Status.FAILED, time.monotonic() - started)
                    note = await self._give()
            await session.wait(self.seconds)
        except asyncio.CancelledError:
            return self._ran("aborted by user", Status.INTERRUPTED, time.monotonic() - started)
        text, omitted, size = session.fresh()
        ending = _ending(running)
        if not session.running:
            self.tool.forget(running)
        elif not running.shell and not session.takes_input and self.chars:
            note = "its input has ended"
        shown = shorten(text, self.tokens, omitted) + (f"\n[{note}]" if note else "")
        shown = with_news(shown, session.news())
        seconds = time.monotonic() - started
        return self._ran(frame(self.call.id, seconds, ending, shown, size), Status.COMPLETED, seconds)

    async def _give(self) -> str:
        """Write the text. A note for the model where something of it did not arrive."""
        running = self.running
        if running.shell:
            if (running.history, running.held) != (self.before, self.was_held):
                return "nothing was given: another input came between; look and send it again"
            running.held = self.held
            if not self.text:
                return "held: the line has no end yet"
            # Before anything is waited for: the next input is judged with this one.
            running.history += self.text
        whole = False
        try:
            async with running.lock:
                whole = await running.session.write(self.text.encode())
        finally:
            if running.shell and not whole:  # half a text, or none, is another script than was judged
                running.session.kill()
        if whole:
            return "the rest is held: the line has no end yet" if self.held else ""
        return "the command did not take all of the input"

    def _ran(self, output: str, status: Status, seconds: float) -> Ran:
        return Ran(output=output, event=self._event(status, seconds=seconds), status=status, seconds=seconds)

    def _event(
        self, status: Status, message: str = "", seconds: float = 0.0, why: Refusal | None = None
    ) -> Event:
        return ToolEnded(
            self.call.id,
            NAME,
            status,
            arguments={"session_id": self.running.number, "chars": self.chars},
            subject=self._subject if not self.text else self.text,
            message=message,
            seconds=seconds,
            refusal=why,
        )

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return self._event(status, message, why=refusal)


def _confined_enough(has: SandboxSpec, asked: SandboxSpec) -> bool:
    """A shell that has `has` may run what is to run under `asked`."""
    power = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)
    narrow = power.index(has.mode) <= power.index(asked.mode)
    return narrow and has.network.power <= asked.network.power


def _ending(running: Running) -> str:
    outcome = running.session.outcome
    if outcome is None:
        return f"Process running with session ID {running.number}"
    if outcome.timed_out:
        return f"Process killed after {outcome.seconds:.0f} seconds (time-out)"
    if running.session.stopped:
        return "Process was ended"
    code = outcome.exit_code if outcome.signal is None else 128 + outcome.signal
    return f"Process exited with code {code}"
