"""An ask and its answer, as a frontend sees them."""

from __future__ import annotations

import enum

from agent.protocol.items import JsonObject
from execpolicy.decision import Verdict
from execpolicy.values import frozen

NETWORK = "network"  # the tool of a request that stands for a connection of a running command


class Answer(enum.Enum):
    YES = "yes"  # this call
    SESSION = "session"  # this call and the same one again until the session ends
    PROJECT = "project"  # an offer is kept as a rule of the project
    USER = "user"  # an offer is kept as a rule of the user
    NO = "no"  # the model is told, with `message`
    STOP = "stop"  # no, and the turn ends

    @property
    def granted(self) -> bool:
        return self not in (Answer.NO, Answer.STOP)


@frozen(kw_only=True)
class Offer:
    """What a lasting yes would allow. INVARIANT: the rules are what is stored, to the letter."""

    wide: bool  # more than the very command
    extent: str  # what it covers, in words
    rules: tuple[str, ...]  # as they would be written
    also: tuple[str, ...] = ()  # what would be allowed beside this command, and is not now
    still: tuple[str, ...] = ()  # near ones that would not
    ends: str = ""  # ISO date of its last day
    notes: tuple[str, ...] = ()  # what a person should know of it


@frozen(kw_only=True)
class Offers:
    """The lasting answers to one ask: each kind of answer with what it may be given for."""

    user: tuple[Offer, ...] = ()
    project: tuple[Offer, ...] = ()
    why_not: tuple[str, ...] = ()  # why something is not on offer, and who could change that

    def of(self, answer: Answer) -> tuple[Offer, ...]:
        match answer:
            case Answer.USER:
                return self.user
            case Answer.PROJECT:
                return self.project
            case _:
                return ()


@frozen(kw_only=True)
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
    offers: Offers = Offers()  # what may be allowed for longer
    advice: str = ""  # what a reviewer said who left it to a person


@frozen(kw_only=True)
class ApprovalReply:
    request_id: str
    answer: Answer
    message: str = ""
    approver: str = ""  # who answered
    wide: bool = False  # of a lasting answer: the wider of the two offers
