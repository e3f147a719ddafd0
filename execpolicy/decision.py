"""The answer of the engine, its terms and its why."""

from __future__ import annotations

import enum

from execpolicy.values import field, frozen


class Decision(enum.IntEnum):
    """Ordered by strictness, so that many answers fold with `max`."""

    ALLOW = 0
    ASK = 1
    DENY = 2

    @property
    def word(self) -> str:
        """`allow`, `ask` or `deny`."""
        return self.name.lower()


class Certainty(enum.IntEnum):
    """The three answers of matching."""

    NO = 0
    MAYBE = 1
    YES = 2


class Layer(enum.IntEnum):
    """Who wrote a rule. Higher layers come first; none loosens another."""

    MANAGED = 0
    MACHINE = 1
    USER = 2
    PROJECT = 3
    SESSION = 4  # files named on the command line, approvals of this session

    @property
    def word(self) -> str:
        return self.name.lower()


class SandboxMode(enum.Enum):
    """How much of the machine a command may change."""

    READ_ONLY = "read-only"
    WORKSPACE_WRITE = "workspace-write"
    FULL_ACCESS = "full-access"


class NetworkAccess(enum.Enum):
    DENY = "deny"
    ALLOW = "allow"


class Reviewer(enum.Enum):
    """Who may answer an ask."""

    USER = "user"
    AUTO = "auto"


class Scope(enum.Enum):
    """How far one approval reaches."""

    ONCE = "once"
    SESSION = "session"
    PROJECT = "project"


@frozen(kw_only=True)
class Confinement:
    """Where a command runs. None: the session's own setting."""

    sandbox: SandboxMode | None = None
    network: NetworkAccess | None = None


@frozen
class Origin:
    """Where a rule was written."""

    layer: Layer
    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@frozen(kw_only=True)
class Opening:
    """The exception that opens a rule."""

    until: str  # ISO date, the last day
    approved_by: str
    ticket: str | None
    origin: Origin


@frozen(kw_only=True)
class RuleMatch:
    """One rule that spoke, and about which words.

    An audit-mode rule is reported with `enforced=False` and takes no part in the decision.
    """

    rule_id: str
    decision: Decision
    certainty: Certainty
    origin: Origin
    justification: str | None = None
    suggest: str | None = None
    words: tuple[str, ...] = ()  # the words of the command that the rule is about
    enforced: bool = True
    owner: str | None = None
    severity: str | None = None
    controls: tuple[str, ...] = ()
    opened: Opening | None = None


PASSES_ON = "passes on another command, which is judged by itself"  # why no rule needs to speak about a part


@frozen(kw_only=True)
class Part:
    """One command, file access, host or tool call of what was judged."""

    kind: str  # command | write | read | delete | network | tool
    text: str  # as a person would write it
    decision: Decision
    matches: tuple[RuleMatch, ...] = ()  # strictest first
    unknowns: tuple[str, ...] = ()  # what could not be known, one phrase each
    via: tuple[str, ...] = ()  # carriers on the way, outermost first
    why: str = ""  # one sentence when no rule spoke


@frozen(kw_only=True)
class Verdict:
    """The decision over everything that was judged, strictest first, with its why."""

    decision: Decision
    parts: tuple[Part, ...] = ()
    unknowns: tuple[str, ...] = ()
    confinement: Confinement = field(default_factory=Confinement)
    reviewer: Reviewer = Reviewer.USER
    scope: Scope | None = None
    expires: str | None = None  # ISO date
    suggest: str | None = None  # the way out of an ask or deny
    nearest: str | None = None  # the nearest allowed command

    @property
    def matches(self) -> tuple[RuleMatch, ...]:
        """Every rule that spoke, strictest first; equals keep the order of the script."""
        found = [match for part in self.parts for match in part.matches]
        return tuple(sorted(found, key=lambda match: -match.decision))

    @property
    def deciding(self) -> RuleMatch | None:
        """The first enforced rule as strict as the verdict, if a rule and not silence decided."""
        for match in self.matches:
            if match.enforced and match.decision is self.decision:
                return match
        return None
