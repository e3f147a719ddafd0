"""What the proxy must be told and what it tells: rulings in, connections out. It never decides by itself."""

from __future__ import annotations

import enum
from typing import Final, Protocol

from execpolicy.decision import Decision, Verdict
from execpolicy.values import frozen

# As in `network_rule`.
HTTP: Final = "http"
HTTPS: Final = "https"
SOCKS: Final = "socks5_tcp"
SOCKS_UDP: Final = "socks5_udp"


@frozen(kw_only=True)
class Target:
    """Where a command wants to go. `host` is a canonical name or address."""

    host: str
    port: int
    protocol: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen(kw_only=True)
class Ruling:
    """What the rules, or a person, say about a target."""

    decision: Decision
    reason: str  # one line, for the person, the model and the client
    help: str = ""  # what would help
    rules: tuple[str, ...] = ()  # ids of the rules that decided
    exact: bool = False  # an allow names this very host: it may have an address of a private network
    verdict: Verdict | None = None


class Judge(Protocol):
    """The rules, for one command."""

    def judge(self, target: Target) -> Ruling:
        """What the rules say. Never raises: what cannot be judged is denied."""
        ...

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        """What a person says where the rules ask: allow or deny. Bounded in time."""
        ...


class Outcome(enum.Enum):
    """What became of a connection."""

    OPENED = "opened"  # it stands; how it ends comes later
    CLOSED = "closed"
    REFUSED = "refused"
    FAILED = "failed"  # it was allowed, and the other side could not be reached
    CUT = "cut"  # by us: it was not what it said it is, stood idle, or the command ended


@frozen(kw_only=True)
class Connection:
    """One connection, or several of the same kind that were refused."""

    target: Target
    ruling: Ruling
    outcome: Outcome
    address: str = ""  # the one it is pinned to
    why: str = ""  # of an outcome that is no plain end
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0
    count: int = 1


class Unrecorded(Exception):
    """The record cannot be written."""


class Witness(Protocol):
    """Where connections are recorded, for one command."""

    def saw(self, connection: Connection) -> None:
        """Record it. Raises `Unrecorded`: what is to be opened is then not."""
        ...


@frozen(kw_only=True)
class Bounds:
    """Seconds and sizes that no client and no server can go beyond."""

    head_seconds: float = 30.0  # for a request to be complete
    resolve_seconds: float = 10.0
    connect_seconds: float = 10.0  # for one address
    ask_seconds: float = 180.0
    questions: int = 20  # of one command
    idle_seconds: float = 600.0  # without a byte in either direction
    sniff_seconds: float = 10.0  # from the first byte of a tunnel to what it is
    head_bytes: int = 1 << 16
    headers: int = 128
    connections: int = 256  # of one command at one time
    addresses: int = 8  # of one name that are tried
    refused: int = 1000  # different targets of one command that are refused before everything is
    chunk: int = 1 << 16
