"""The command tool: one text for a bash of its own, confined, bounded in time and output.

What has not ended when the call is due to be answered goes on as a session; `write_stdin` comes back to it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Literal, cast

import msgspec

from agent.process.pty import Input, Session
from agent.process.spawn import Outcome
from agent.protocol.events import CommandEnded, CommandOutput, CommandStarted, Event, Refusal, Status
from agent.protocol.items import JsonObject
from agent.sandbox.base import Door, Launch
from agent.sandbox.spec import Network
from agent.tools.arguments import read_arguments
from agent.tools.base import BadCall, Emit, Grant, Prepared, Ran, RunScript, ToolCall
from agent.tools.bounds import bounded
from agent.tools.frame import frame, shorten, with_news
from agent.tools.heredoc import find_patch
from agent.tools.running import RunningCommands
from execpolicy.values import frozen, replace

NAME = "exec_command"
MAX_SCRIPT_BYTES = 131_000  # Linux takes at most 128 KiB in one argument
MOST_AT_ONCE = 32  # commands side by side; each takes descriptors and processes, others wait in line
SHELL_START = 0.25  # seconds until a shell counts as open
# A shell of ours reads all texts as one script, as they are judged: a here-document or a function of one text
# means in the next what it meant to the judge. What it runs has no input and cannot read the next text.
DRIVER = 'exec 3<&0 </dev/null; exec "$BASH" --noprofile --norc /dev/fd/3'
FIRST_LINE = b"exec 3<&-\n"
_SHELL_OPTIONS = frozenset({"-i", "-l", "--login", "--norc", "--noprofile"})
# Call id, folder, network, and where its connections are told of.
Doors = Callable[[str, str, Network, Emit], Door]
LIVE_BYTES = 1 << 18  # of one command, told to frontends as it comes


@frozen(kw_only=True)
class ShellLimits:
    """Bounds of one command."""

    seconds: float = 600.0
    output_tokens: int = 10_000  # what the model sees
    output_bytes: int = 1 << 20  # what is kept


class _Arguments(msgspec.Struct, frozen=True):
    cmd: str
    workdir: str | None = None
    timeout_ms: float | None = None
    max_output_tokens: float | None = None
    justification: str | None = None
    yield_time_ms: float | None = None
    tty: bool = False
    sandbox_permissions: Literal["use_default", "require_escalated"] = "use_default"


class ShellTool:
    """`exec_command`. The dialect that was judged is the one that runs: bash that reads no start-up files."""

    name = NAME
    exclusive = False

    def __init__(
        self,
        *,
        bash: str,
        cwd: str,
        environment: Callable[[], Mapping[str, str]],
        running: RunningCommands,
        limits: ShellLimits = ShellLimits(),
        trace: Callable[[str], str | None] = lambda call_id: None,
        doors: Doors | None = None,
    ) -> None:
        """`environment` is the whole environment of a child, but for the trace that its call belongs to.

        `doors` makes the network of a command that has it by the proxy.
        """
        self._bash = bash
        self._cwd = cwd
        self._environment = environment
        self._running = running
        self._trace = trace
        self._doors = doors
        self._limits = limits
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    @property
    def schema(self) -> JsonObject:
        return {
            "type": "function",
            "name": NAME,
            "description": "Runs a command in a new bash and returns its exit code and output. It is judged "
            "by the user's policy first. One that still runs after yield_time_ms goes on: write_stdin gets more "
            "of its output. The command `bash` alone opens a shell that keeps its folder and variables.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": {
                    "cmd": {"type": "string", "description": "The command, as bash reads it."},
                    "workdir": {
                        "type": "string",
                        "description": "Folder to run it in; relative to the session's folder, which is "
                        "the default.",
                    },
                    "timeout_ms": {
                        "type": "number",
                        "description": f"The command is killed after this time (default and most: "
                        f"{self._limits.seconds * 1000:.0f}).",
                    },
                    "max_output_tokens": {
                        "type": "number",
                        "description": "Show less output than the default of "
                        f"{self._limits.output_tokens} tokens.",
                    },
                    "yield_time_ms": {
                        "type": "number",
                        "description": "How long to wait for the end before it goes on as a session (default "
                        "10000, at most 30000).",
                    },
                    "tty": {
                        "type": "boolean",
                        "description": "Give it a terminal, and input by write_stdin. Default: neither.",
                    },
                    "sandbox_permissions": {
                        "type": "string",
                        "enum": ["use_default", "require_escalated"],
                        "description": "require_escalated asks the user to let it run outside the sandbox. "
                        "Only where it cannot work inside; give a justification.",
                    },
                    "justification": {
                        "type": "string",
                        "description": "One sentence for the person who may be asked: what it is for.",
                    },
                },
                "required": ["cmd"],
                "additionalProperties": False,
            },
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        arguments = read_arguments(call, _Arguments)
        if isinstance(arguments, BadCall):
            return None
        found = find_patch(arguments.cmd, self._folder(arguments))
        return None if found is None else call.instead("apply_patch", found.text, found.cwd)

    def read(self, call: ToolCall) -> Prepared | BadCall:
        arguments = read_arguments(call, _Arguments)
        if isinstance(arguments, BadCall):
            return arguments
        folder = self._folder(arguments)
        if flaw := _flaw(arguments.cmd, folder):
            return BadCall(f"{NAME} failed: {flaw}")
        limits = self._limits
        longest = limits.seconds * 1000
        numbers = bounded(
            NAME,
            timeout_ms=(arguments.timeout_ms, longest, 100, longest),
            max_output_tokens=(arguments.max_output_tokens, limits.output_tokens, 1, limits.output_tokens),
            yield_time_ms=(arguments.yield_time_ms, 10_000, 250, 30_000),
        )
        if isinstance(numbers, BadCall):
            return numbers
        escalate = arguments.sandbox_permissions == "require_escalated"
        if escalate and not (arguments.justification or "").strip():
            return BadCall(f"{NAME} failed: require_escalated needs a justification for the user")
        return _PreparedCommand(
            call=call,
            script=arguments.cmd,
            cwd=folder,
            reason=arguments.justification or "",
            seconds=numbers["timeout_ms"] / 1000,
            tokens=int(numbers["max_output_tokens"]),
            yield_seconds=numbers["yield_time_ms"] / 1000,
            output_bytes=limits.output_bytes,
            terminal=arguments.tty,
            escalate=escalate,
            bash=self._bash,
            environment=self._environment,
            places=self._places,
            running=self._running,
            trace=self._trace,
            doors=self._doors,
        )

    def _folder(self, arguments: _Arguments) -> str:
        return os.path.normpath(os.path.join(self._cwd, arguments.workdir or ""))


def _flaw(script: str, folder: str) -> str:
    """What keeps `script` from being run as it is."""
    try:
        size = len(script.encode())
        readable = os.path.isdir(folder)
    except (UnicodeError, ValueError):
        return "the text holds characters that no command can hold"
    if "\0" in script:
        return "the command holds a NUL character"
    if size > MAX_SCRIPT_BYTES:
        return (
            f"the command is {size} bytes long, at most {MAX_SCRIPT_BYTES} are possible: write a file first"
        )
    if not readable:
        return f"no folder `{folder}`"
    return ""


@frozen(kw_only=True)
class _PreparedCommand:
    call: ToolCall
    script: str
    cwd: str
    reason: str
    seconds: float
    tokens: int
    yield_seconds: float
    output_bytes: int
    terminal: bool
    escalate: bool
    bash: str
    environment: Callable[[], Mapping[str, str]]
    places: asyncio.Semaphore
    running: RunningCommands
    trace: Callable[[str], str | None]
    doors: Doors | None

    @property
    def request(self) -> RunScript:
        return RunScript(script=self.script, cwd=self.cwd, reason=self.reason, escalate=self.escalate)

    def check(self) -> str:
        return ""

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        shell = opens_shell(self.script)
        text = (DRIVER, "bash") if shell else (self.script,)
        argv = (self.bash, "--noprofile", "--norc", "-c", *text)
        env = dict(self.environment())
        if (trace := self.trace(self.call.id)) is not None:
            env["TRACEPARENT"] = trace
        launch = Launch(argv=argv, cwd=self.cwd, env=env)
        live = _Live(self.call.id, emit)
        started = time.monotonic()
        session: Session | None = None
        try:
            async with self.places:
                emit(CommandStarted(self.call.id, self.script, self.cwd, grant.words))
                started = time.monotonic()
                wrapped = grant.sandbox.wrap(launch, grant.spec)
                door = None
                if wrapped.doorway is not None and self.doors is not None:
                    door = self.doors(self.call.id, self.cwd, grant.spec.network, emit)
                session = Session.start(
                    wrapped,
                    seconds=self.seconds,
                    source=Input.PIPE if shell else Input.TERMINAL if self.terminal else Input.NOTHING,
                    terminal=self.terminal,
                    on_output=live.told,
                    limit=self.output_bytes,
                    door=door,
                )
                if shell:
                    await session.write(FIRST_LINE)
                outcome = await session.wait(SHELL_START if shell else self.yield_seconds)
                if outcome is None and self.running.full:
                    outcome = await session.wait()
        except asyncio.CancelledError:
            if session is not None:
                await session.stop()
            return self._cut_off(live.text, time.monotonic() - started)
        return self._goes_on(session, grant, shell=shell) if outcome is None else self._ran(outcome, session)

    def _goes_on(self, session: Session, grant: Grant, *, shell: bool) -> Ran:
        running = self.running.add(
            self.script, self.cwd, session, grant.spec, shell=shell, call_id=self.call.id
        )
        text, omitted, size = session.fresh()
        ending = f"Process running with session ID {running.number}"
        if shell:
            ending += " (a shell: give it whole lines with write_stdin; what it runs gets no input)"
        shown = with_news(shorten(text, self.tokens, omitted), session.news())
        return Ran(
            output=frame(self.call.id, session.seconds, ending, shown, size),
            event=CommandOutput(self.call.id, ""),
            status=Status.COMPLETED,
            later=self._end_of(session),
        )

    async def _end_of(self, session: Session) -> Ran:
        outcome = await session.wait()
        assert outcome is not None
        ran = self._ran(outcome, session)
        if not session.stopped:
            return ran
        ended = replace(cast("CommandEnded", ran.event), status=Status.INTERRUPTED)
        return replace(ran, status=Status.INTERRUPTED, event=ended)

    def _ran(self, outcome: Outcome, session: Session) -> Ran:
        status = Status.COMPLETED if outcome.exit_code == 0 else Status.FAILED
        news = session.news()
        text = with_news(shorten(outcome.output, self.tokens, outcome.omitted_bytes), news)
        return Ran(
            output=frame(self.call.id, outcome.seconds, self._ending(outcome), text, outcome.output_bytes),
            event=CommandEnded(
                self.call.id,
                self.script,
                with_news(outcome.output, news),
                _code(outcome),
                status,
                outcome.seconds,
                signal=outcome.signal,
                timed_out=outcome.timed_out,
                omitted_bytes=outcome.omitted_bytes,
            ),
            status=status,
            exit_code=_code(outcome),
            signal=outcome.signal,
            seconds=outcome.seconds,
            output_bytes=outcome.output_bytes,
            output_sha256=outcome.output_sha256,
            timed_out=outcome.timed_out,
            confined=True,
        )

    def _cut_off(self, output: str, seconds: float) -> Ran:
        """Interrupted: whatever ran was killed."""
        return Ran(
            output=f"Wall time: {seconds:.1f} seconds\naborted by user",
            event=CommandEnded(self.call.id, self.script, output, None, Status.INTERRUPTED, seconds),
            status=Status.INTERRUPTED,
            seconds=seconds,
            confined=True,
        )

    def _ending(self, outcome: Outcome) -> str:
        if outcome.timed_out:
            return f"Process killed after {self.seconds:g} seconds (time-out)"
        if outcome.signal is not None:
            return f"Process exited with code {_code(outcome)} (signal {outcome.signal})"
        return f"Process exited with code {_code(outcome)}"

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return CommandEnded(self.call.id, self.script, message, None, status, refusal=refusal)


def opens_shell(script: str) -> bool:
    """The command is a bash and nothing else, one that would read its commands from its input."""
    words = [] if "\n" in script.strip() else script.split()
    return words[:1] in (["bash"], ["/bin/bash"], ["/usr/bin/bash"]) and _SHELL_OPTIONS.issuperset(words[1:])


def _code(outcome: Outcome) -> int | None:
    """As a shell says it: 128 and the number of the signal for a death by signal."""
    if outcome.signal is not None and not outcome.timed_out:
        return 128 + outcome.signal
    return outcome.exit_code


class _Live:
    """Passes output on to frontends, up to a bound: a slow reader must not fill the memory."""

    def __init__(self, call_id: str, emit: Emit) -> None:
        self._call_id = call_id
        self._emit = emit
        self._left = LIVE_BYTES
        self._told: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._told)

    def told(self, text: str) -> None:
        if self._left > 0:
            self._told.append(text[: self._left])
            self._emit(CommandOutput(self._call_id, self._told[-1]))
            self._left -= len(text)
