"""What a conversation tells: deltas, items, verdicts, approvals, ends."""

from __future__ import annotations

import enum

from agent.protocol.approvals import ApprovalReply, ApprovalRequest, Offers
from agent.protocol.items import JsonObject, Usage
from execpolicy.decision import Verdict
from execpolicy.values import frozen


class Status(enum.Enum):
    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"  # refused by the policy or by a person: it did not run
    INTERRUPTED = "interrupted"


class Refusal(enum.Enum):
    """Why a call did not run."""

    POLICY = "policy"  # a rule denies it
    PERSON = "person"  # somebody said no
    NOBODY = "nobody"  # it needs a yes and nobody can be asked
    RECORD = "record"  # it could not be recorded
    SANDBOX = "sandbox"  # this machine cannot confine it as asked
    ANALYSIS = "analysis"  # it could not be judged


@frozen
class ThreadStarted:
    thread_id: str
    resumed: bool = False
    model: str = ""
    cwd: str = ""
    sandbox: str = ""


@frozen
class TurnStarted:
    turn_id: str
    prompt: str


@frozen
class TextDelta:
    text: str


@frozen
class MessageDone:
    text: str


@frozen
class ReasoningDone:
    text: str


@frozen
class Judged:
    """The verdict over one call, before anything runs. Emitted for every call."""

    call_id: str
    tool: str
    subject: str
    verdict: Verdict
    cwd: str = ""
    explanation: tuple[str, ...] = ()  # the verdict in lines for a person
    details: JsonObject | None = None  # the verdict as an object for a machine


@frozen
class ApprovalAsked:
    request: ApprovalRequest


@frozen
class ApprovalAnswered:
    reply: ApprovalReply
    call_id: str = ""


@frozen
class ApprovalMissing:
    """An ask that nobody answers, and how it could be allowed beforehand."""

    call_id: str
    tool: str
    subject: str
    why: str  # why nobody does
    offers: Offers = Offers()


@frozen
class CommandStarted:
    call_id: str
    command: str
    cwd: str
    sandbox: str = ""  # back end and mode it runs under: "bubblewrap workspace-write"


@frozen
class CommandOutput:
    """Output as it comes; bounded, so of a very long output only the start is told."""

    call_id: str
    text: str


@frozen
class NetworkUsed:
    """A connection of a running command has ended, or was not made."""

    call_id: str
    host: str
    port: int
    protocol: str  # http | https | socks5_tcp | socks5_udp
    decision: str  # allow | deny
    outcome: str  # closed | refused | failed | cut
    address: str = ""  # the one it was pinned to
    rules: tuple[str, ...] = ()
    why: str = ""
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0
    count: int = 1  # of refusals that were alike


@frozen
class CommandEnded:
    """Also sent for a call that did not run: then `status` is DECLINED and `output` says why."""

    call_id: str
    command: str
    output: str
    exit_code: int | None
    status: Status
    seconds: float = 0.0
    refusal: Refusal | None = None  # set if and only if it did not run
    signal: int | None = None
    timed_out: bool = False
    omitted_bytes: int = 0  # output left out of `output`, from its middle


@frozen
class FileChange:
    path: str  # absolute
    kind: str  # add | delete | update


@frozen
class PatchStarted:
    call_id: str
    changes: tuple[FileChange, ...]


@frozen
class PatchEnded:
    """Also sent for a patch that was not applied: then `message` says why."""

    call_id: str
    changes: tuple[FileChange, ...]
    status: Status
    message: str = ""
    diff: str = ""  # unified diff of what was applied
    refusal: Refusal | None = None


@frozen
class PlanStep:
    step: str
    status: str  # pending | in_progress | completed


@frozen
class PlanUpdated:
    steps: tuple[PlanStep, ...]
    explanation: str = ""
    call_id: str = ""


@frozen
class ToolStarted:
    """A call of another tool begins: of an MCP server, or of a sub-agent."""

    call_id: str
    tool: str
    server: str = ""  # MCP server; empty: a tool of our own
    arguments: JsonObject | None = None
    subject: str = ""  # what it does, in one line


@frozen
class ToolEnded:
    """A call of a tool that neither runs a command nor changes files by itself ended, or did not run."""

    call_id: str
    tool: str
    status: Status
    server: str = ""
    arguments: JsonObject | None = None
    subject: str = ""
    message: str = ""  # what came of it
    seconds: float = 0.0
    refusal: Refusal | None = None
    content: tuple[JsonObject, ...] = ()  # of an MCP server: its answer, part by part
    structured: JsonObject | None = None  # of an MCP server: its answer as data


@frozen
class Compacted:
    """The conversation was summed up to make room."""

    tokens_before: int
    tokens_after: int  # an estimate


@frozen
class CallFailed:
    """A call that names no tool, cannot be read, or of another tool that was refused. The model was told."""

    call_id: str
    tool: str
    message: str
    refusal: Refusal | None = None


@frozen
class Retrying:
    attempt: int  # from 1
    most: int
    cause: str
    seconds: float  # until the next try


@frozen
class Warned:
    message: str
    help: str = ""


@frozen
class TurnCompleted:
    usage: Usage  # of the whole thread so far
    last_message: str = ""


@frozen
class TurnFailed:
    message: str
    help: str = ""
    usage: Usage = Usage()  # of the whole thread so far


@frozen
class TurnInterrupted:
    reason: str = ""
    usage: Usage = Usage()  # of the whole thread so far


@frozen
class Closed:
    pass


Event = (
    ThreadStarted
    | TurnStarted
    | TextDelta
    | MessageDone
    | ReasoningDone
    | Judged
    | ApprovalAsked
    | ApprovalAnswered
    | ApprovalMissing
    | CommandStarted
    | CommandOutput
    | NetworkUsed
    | CommandEnded
    | PatchStarted
    | PatchEnded
    | PlanUpdated
    | ToolStarted
    | ToolEnded
    | Compacted
    | CallFailed
    | Retrying
    | Warned
    | TurnCompleted
    | TurnFailed
    | TurnInterrupted
    | Closed
)
