"""How much power a child gets."""

from __future__ import annotations

import enum

from execpolicy.decision import SandboxMode
from execpolicy.values import field, frozen


@frozen(kw_only=True)
class Limits:
    """How much of the machine one command may use. None: no limit of ours.

    What is said of one process the kernel holds at once; what is said of the tree, all processes of the
    command together, is looked at several times a second, and the tree is ended when it passes it.
    """

    processes: int | None = (
        1024  # of the tree; the kernel holds everybody but root to four times as many threads
    )
    memory_bytes: int | None = None  # address space of one process
    cpu_seconds: int | None = None  # of one process
    file_bytes: int | None = None  # of one file written
    open_files: int | None = None  # of one process
    tree_memory_bytes: int | None = None  # of the tree, memory files of its own included
    disk_bytes: int | None = None  # written by the tree in all
    new_files: int | None = None  # by which a file system has fewer free than at the start


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
    loopback: tuple[
        str, ...
    ] = ()  # hosts of the user's loopback that rules name: the proxy is asked for them
    exclude_slash_tmp: bool = False  # /tmp and /var/tmp are not writable
    exclude_tmpdir: bool = False  # nor is what TMPDIR names
    limits: Limits = field(default_factory=Limits)
