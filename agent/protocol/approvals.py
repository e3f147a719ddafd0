"""An ask and its answer, as a frontend sees them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from agent.protocol.items import JsonObject
from execpolicy.decision import Verdict


class Answer(enum.Enum):
    YES = "yes"  # this call
    SESSION = "session"  # this call and the same one again until the session ends
    NO = "no"  # the model is told, with `message`
    STOP = "stop"  # no, and the turn ends


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """Somebody has to say yes before a call runs. One is open at a time; the others wait in line."""

    id: str
    call_id: str
    tool: str
    subject: str  # the command, or the patch in short: what would run
    cwd: str
    verdict: Verdict
    reason: str = ""  # what the model says it is for
    session_grant: str = ""  # what a yes for the session would cover, in words; empty: not on offer
    explanation: tuple[str, ...] = ()  # the verdict in lines for a person
    details: JsonObject | None = None  # the verdict as an object for a machine
    diff: str = ""  # of a patch: what it would change
    waiting: int = 0  # asks in line behind this one


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalReply:
    request_id: str
    answer: Answer
    message: str = ""
    approver: str = ""  # who answered
