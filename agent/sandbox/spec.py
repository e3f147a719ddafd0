"""How much power a child gets."""

from __future__ import annotations

import enum

from execpolicy.decision import SandboxMode
from execpolicy.values import field, frozen


@frozen(kw_only=True)
class Limits:
    """How much of the machine one command may use. None: no limit of ours."""

    processes: int | None = 4096  # of one user; the kernel does not hold root to it
    memory_bytes: int | None = None  # address space of one process
    cpu_seconds: int | None = None  # of one process
    file_bytes: int | None = None  # of one file written


class Network(enum.Enum):
    """How a child reaches other machines.

    INVARIANT: only FULL is true, so a back end that merely asks whether there is a network gives none to a
    child that should have met the proxy.
    """

    NONE = "none"
    NAMED = "named"  # by the proxy: what the rules about hosts allow, and what a person says yes to
    FILTERED = "filtered"  # by the proxy: everything but what the rules about hosts deny or ask about
    FULL = "full"  # the user's own

    def __bool__(self) -> bool:
        return self is Network.FULL

    @property
    def proxied(self) -> bool:
        return self in (Network.NAMED, Network.FILTERED)

    @property
    def power(self) -> int:
        """More reaches more."""
        return list(Network).index(self)


@frozen(kw_only=True)
class SandboxSpec:
    """Everything is readable unless hidden; writable is what is named. Absolute paths."""

    mode: SandboxMode
    workspace: str
    writable: tuple[str, ...] = ()  # beside workspace and temp, in workspace-write
    protected: tuple[str, ...] = ()  # read-only inside what is writable: .git, .agent, rule folders
    hidden: tuple[str, ...] = ()  # not even readable; keys and key stores are by default
    readable: tuple[str, ...] = ()  # what of the defaults stays readable
    network: Network = Network.NONE
    limits: Limits = field(default_factory=Limits)
