"""Audit events: frozen values with a schema version. Their JSON form is in `codec.py`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from execpolicy.decision import Verdict

SCHEMA = 1  # of the JSON form; a reader refuses a higher one


class Outcome(enum.Enum):
    """How a call that was allowed to run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"


class Reply(enum.Enum):
    """What was answered to an ask. The last two are given by nobody."""

    YES = "yes"
    SESSION = "session"
    NO = "no"
    STOP = "stop"
    TIMEOUT = "timeout"
    UNATTENDED = "unattended"

    @property
    def granted(self) -> bool:
        return self in (Reply.YES, Reply.SESSION)


class GapKind(enum.Enum):
    """Why the record is not complete."""

    TORN = "torn"  # half a line after a crash; nobody was told that it was written
    UNWRITTEN = "unwritten"  # the disk refused; the calls were refused too
    CUT = "cut"  # records that the head knows are missing
    HEAD_LOST = "head_lost"  # the head was missing or unreadable: a cut cannot be excluded
    LOST = "lost"  # dropped on the way to a collector; the local log has them


@dataclass(frozen=True, slots=True)
class _Event:
    session: str
    masked: tuple[str, ...] = field(default=(), kw_only=True)  # where secrets were taken out


@dataclass(frozen=True, slots=True)
class SessionStarted(_Event):
    """A session begins, or goes on."""

    agent_version: str
    model: str
    cwd: str
    workspace: str
    sandbox: str  # read-only | workspace-write | full-access
    approval: str  # who answers an ask: user, nobody
    user: str = ""
    host: str = ""
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One rule file as it was read. `usable` is false when its allows were taken away."""

    path: str
    layer: str
    digest: str
    usable: bool


@dataclass(frozen=True, slots=True)
class PolicyLoaded(_Event):
    """The rules in force from here on."""

    files: tuple[PolicyFile, ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided(_Event):
    """The verdict over one call. Recorded before anything runs."""

    call: str
    tool: str
    subject: str  # the script, the patch, the call: what would run
    cwd: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Approved(_Event):
    """The answer to an ask, yes or no."""

    call: str
    answer: Reply
    approver: str
    message: str = ""
    seconds: float = 0.0  # from the question to the answer


@dataclass(frozen=True, slots=True)
class Ran(_Event):
    """A command ended."""

    call: str
    exit_code: int | None
    status: Outcome
    seconds: float
    output_sha256: str
    output_bytes: int
    sandbox: str  # back end that confined it: bubblewrap, seatbelt, none


@dataclass(frozen=True, slots=True)
class Patched(_Event):
    """A patch was applied or failed."""

    call: str
    paths: tuple[str, ...]
    status: Outcome


@dataclass(frozen=True, slots=True)
class Refused(_Event):
    """A call did not run. Every refusal leaves one of these."""

    call: str
    why: str


@dataclass(frozen=True, slots=True)
class SessionEnded(_Event):
    why: str


@dataclass(frozen=True, slots=True)
class Gap(_Event):
    """Something is not in the record, and this says what is known about it."""

    kind: GapKind
    reason: str
    first_seq: int = 0  # of what is missing; 0: not known
    last_seq: int = 0
    count: int = 0
    kept: str = ""  # file name, in the audit folder, of what was put aside
    sha256: str = ""  # of what was put aside


AuditEvent = SessionStarted | PolicyLoaded | Decided | Approved | Ran | Patched | Refused | SessionEnded | Gap
