"""Audit events: frozen values with a schema version. Their JSON form is in `codec.py`."""

from __future__ import annotations

import enum

from execpolicy.decision import Verdict
from execpolicy.engine.context import FactValue
from execpolicy.values import field, frozen

SCHEMA = 2  # of the JSON form; a reader knows all lower ones and refuses a higher one


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
    PROJECT = "project"
    USER = "user"
    NO = "no"
    STOP = "stop"
    TIMEOUT = "timeout"
    UNATTENDED = "unattended"

    @property
    def granted(self) -> bool:
        return self in (Reply.YES, Reply.SESSION, Reply.PROJECT, Reply.USER)


class BundleStep(enum.Enum):
    """What became of a bundle of rules."""

    FETCHED = "fetched"
    VERIFIED = "verified"
    ACTIVATED = "activated"
    FAILED = "failed"
    STALE = "stale"
    EXPIRED = "expired"
    ROLLED_OUT = "rolled_out"  # to a further ring
    ROLLED_BACK = "rolled_back"
    KILLED = "killed"


class GapKind(enum.Enum):
    """Why the record is not complete."""

    TORN = "torn"  # half a line after a crash; nobody was told that it was written
    UNWRITTEN = "unwritten"  # the disk refused; the calls were refused too
    CUT = "cut"  # records that the head knows are missing
    HEAD_LOST = "head_lost"  # the head was missing or unreadable: a cut cannot be excluded
    LOST = "lost"  # dropped on the way to a collector; the local log has them


@frozen
class _Event:
    session: str
    # Where secrets were taken out, as JSON pointers into the record, and the id of the key of their digests.
    masked: tuple[str, ...] = field(default=(), kw_only=True)
    mask_key: str = field(default="", kw_only=True)


@frozen
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
    provider: str = ""  # of the model, by its name in the settings; empty: not known


@frozen
class PolicyFile:
    """One rule file as it was read. `usable` is false when its allows were taken away."""

    path: str
    layer: str
    digest: str
    usable: bool
    version: str = ""  # of the bundle it came in; empty: it came in none
    bundle: str = ""  # its name, as its manifest says


@frozen
class PolicyLoaded(_Event):
    """The rules in force from here on."""

    files: tuple[PolicyFile, ...]
    errors: tuple[str, ...] = ()
    policy: str = ""  # one digest over all files and layers: verdicts refer to it


@frozen
class Situated(_Event):
    """Where and as whom calls are judged from here on, until another one is recorded."""

    id: str  # digest of the rest: verdicts refer to it
    workspace: str
    home: str
    writable: tuple[str, ...]
    protected: tuple[str, ...]
    sandbox: str  # the session's own
    facts: tuple[tuple[str, FactValue], ...]  # in order of their names


@frozen(kw_only=True)
class Asked:
    """What was judged, beside `subject`, in the words of its form."""

    form: str  # script | input | files | server | tool
    before: str = ""  # script: what the same shell was given before
    escalate: bool = False  # script: it is to run outside the sandbox
    failed: bool = False  # script: it ran inside and failed there
    program: str = ""  # input: the command that runs
    text: str = ""  # input
    server: str = ""
    tool: str = ""  # server: its tool
    arguments: str = ""  # server, tool: JSON
    accesses: tuple[tuple[str, str], ...] = ()  # files: read | write | delete | execute, and the path


@frozen(kw_only=True)
class CommandRead:
    """One command as the script was read."""

    argv: tuple[str | None, ...]  # exactly what the program will get; None: not known before it runs
    unread: tuple[str, ...] = ()  # how the words that are None were written, in order
    via: tuple[str, ...] = ()  # carriers, outermost first
    cwd: str | None = ""  # after `cd`; empty: where the script started; None: not known
    files: tuple[tuple[str, str], ...] = ()  # what is done, and the path as written
    unknowns: tuple[str, ...] = ()


@frozen
class LookedUp:
    """What the machine answered while a call was judged."""

    what: str  # program | real | env
    name: str
    place: str  # program: the folder; else empty
    answer: str | None


@frozen
class Decided(_Event):
    """The verdict over one call. Recorded before anything runs."""

    call: str
    tool: str
    subject: str  # the script, the patch, the call: what would run
    cwd: str
    verdict: Verdict
    would: str = ""  # the decision if rules in audit mode were enforced, too; empty: not looked at
    agent: str = ""  # who asked: main, or the name of a helper
    model: str = ""
    approval: str = ""  # who answers an ask: user, nobody
    policy: str = ""  # of the PolicyLoaded in force
    situation: str = ""  # of the Situated in force
    today: str = ""  # local date at which it was judged
    minute: int = -1  # local, after midnight
    asked: Asked | None = None
    commands: tuple[CommandRead, ...] = ()
    readable: bool = True  # the script was read exactly as bash reads it
    lookups: tuple[LookedUp, ...] = ()
    args_hmac: str = ""  # keyed digest of the whole subject, where something in it was masked


@frozen
class Overridden(_Event):
    """An exception opened a rule for one call."""

    call: str
    rule: str
    until: str  # last day
    approved_by: str
    ticket: str = ""
    origin: str = ""  # where the exception stands: path:line:column


@frozen
class Approved(_Event):
    """The answer to an ask, yes or no."""

    call: str
    answer: Reply
    approver: str
    message: str = ""
    seconds: float = 0.0  # from the question to the answer
    scope: str = ""  # how far a yes reaches: once, session, project, user
    until: str = ""  # last day of a lasting yes
    rules: tuple[str, ...] = ()  # ids of the rules that it made
    review: str = ""  # what a reviewer said who left the answer to a person


@frozen
class Revoked(_Event):
    """A lasting yes was taken back."""

    rule: str  # its id
    scope: str  # project, user
    path: str  # of the file that it stood in
    by: str
    text: str = ""  # the rule as it stood there


@frozen
class Ran(_Event):
    """A command ended."""

    call: str
    exit_code: int | None
    status: Outcome
    seconds: float
    output_sha256: str
    output_bytes: int
    sandbox: str  # back end that confined it: bubblewrap, seatbelt, none


@frozen
class ToolCalled(_Event):
    """A call of a tool that runs no command ended: one of our own, or of a server."""

    call: str
    tool: str
    server: str  # empty: our own
    status: Outcome
    seconds: float
    output_sha256: str
    output_bytes: int


@frozen
class SandboxDenied(_Event):
    """The sandbox kept a command from something, as far as that can be told from outside."""

    call: str
    sandbox: str  # back end
    mode: str
    sign: str  # what was seen: a line of output, a signal
    path: str = ""  # what it was about, where that is known


class LinkEnd(enum.Enum):
    """What became of a connection."""

    OPENED = "opened"  # it stands; another record says how it ended
    CLOSED = "closed"
    REFUSED = "refused"
    FAILED = "failed"  # allowed, and the other side could not be reached
    CUT = "cut"  # it was not what it said it is, stood idle, or its command ended


BEGINNINGS = (LinkEnd.OPENED, LinkEnd.REFUSED, LinkEnd.FAILED)  # one for each connection; the others end one


@frozen
class Connected(_Event):
    """A command reached another machine through the proxy, or was kept from it."""

    call: str
    host: str
    port: int
    protocol: str  # http | https | socks5_tcp | socks5_udp
    address: str  # the one that the connection was pinned to; empty: none was made
    decision: str  # of the rules and the person together: allow | deny
    rules: tuple[str, ...]
    outcome: LinkEnd
    why: str
    bytes_up: int
    bytes_down: int
    seconds: float
    count: int = 1  # of refusals that were alike


@frozen
class BundleChanged(_Event):
    """A step in the life of a bundle of rules on this machine."""

    bundle: str
    version: str
    digest: str
    step: BundleStep
    ring: str = ""
    why: str = ""
    by: str = ""  # who signed for it


@frozen
class Patched(_Event):
    """A patch was applied or failed."""

    call: str
    paths: tuple[str, ...]
    status: Outcome


@frozen
class Refused(_Event):
    """A call did not run. Every refusal leaves one of these."""

    call: str
    why: str


@frozen
class Witnessed(_Event):
    """The witness was asked to cosign what was signed."""

    witness: str  # its name
    size: int  # records that the checkpoint is over
    cosigned: bool
    why: str = ""  # why not


@frozen
class SessionEnded(_Event):
    why: str


@frozen
class Gap(_Event):
    """Something is not in the record, and this says what is known about it."""

    kind: GapKind
    reason: str
    first_seq: int = 0  # of what is missing; 0: not known
    last_seq: int = 0
    count: int = 0
    kept: str = ""  # file name, in the audit folder, of what was put aside
    sha256: str = ""  # of what was put aside


AuditEvent = (
    SessionStarted
    | PolicyLoaded
    | Situated
    | Decided
    | Overridden
    | Approved
    | Revoked
    | Ran
    | ToolCalled
    | SandboxDenied
    | Connected
    | Patched
    | Refused
    | BundleChanged
    | Witnessed
    | SessionEnded
    | Gap
)
