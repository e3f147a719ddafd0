"""What a conversation tells: deltas, items, verdicts, approvals, ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from agent.protocol.approvals import ApprovalReply, ApprovalRequest
from agent.protocol.items import Usage
from execpolicy.decision import Verdict


class Status(enum.Enum):
    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"  # refused by the policy or by a person: it did not run
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class ThreadStarted:
    thread_id: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class TurnStarted:
    turn_id: str
    prompt: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class MessageDone:
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDone:
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict over one call, before anything runs. Emitted for every call."""

    call_id: str
    tool: str
    subject: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    request: ApprovalRequest


@dataclass(frozen=True, slots=True)
class ApprovalAnswered:
    reply: ApprovalReply


@dataclass(frozen=True, slots=True)
class CommandStarted:
    call_id: str
    command: str
    cwd: str


@dataclass(frozen=True, slots=True)
class CommandOutput:
    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """Also sent for a call that did not run: then `status` is DECLINED and `output` says why."""

    call_id: str
    command: str
    output: str
    exit_code: int | None
    status: Status
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str  # absolute
    kind: str  # add | delete | update


@dataclass(frozen=True, slots=True)
class PatchEnded:
    call_id: str
    changes: tuple[FileChange, ...]
    status: Status
    message: str = ""
    diff: str = ""  # unified diff of what was applied


@dataclass(frozen=True, slots=True)
class PlanStep:
    step: str
    status: str  # pending | in_progress | completed


@dataclass(frozen=True, slots=True)
class PlanUpdated:
    steps: tuple[PlanStep, ...]
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call that names no tool, or whose arguments cannot be read. The model was told."""

    call_id: str
    tool: str
    message: str


@dataclass(frozen=True, slots=True)
class Retrying:
    attempt: int  # from 1
    most: int
    cause: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    message: str


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    usage: Usage  # of the whole thread so far
    last_message: str = ""


@dataclass(frozen=True, slots=True)
class TurnFailed:
    message: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class TurnInterrupted:
    reason: str = ""


@dataclass(frozen=True, slots=True)
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
    | CommandStarted
    | CommandOutput
    | CommandEnded
    | PatchEnded
    | PlanUpdated
    | CallFailed
    | Retrying
    | Warned
    | TurnCompleted
    | TurnFailed
    | TurnInterrupted
    | Closed
)
