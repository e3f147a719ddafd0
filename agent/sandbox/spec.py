"""How much power a child gets."""

from __future__ import annotations

from dataclasses import dataclass, field

from execpolicy.decision import SandboxMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of the machine one command may use. None: no limit of ours."""

    processes: int | None = 4096  # of one user; the kernel does not hold root to it
    memory_bytes: int | None = None  # address space of one process
    cpu_seconds: int | None = None  # of one process
    file_bytes: int | None = None  # of one file written


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """Everything is readable unless hidden; writable is what is named. Absolute paths."""

    mode: SandboxMode
    workspace: str
    writable: tuple[str, ...] = ()  # beside workspace and temp, in workspace-write
    protected: tuple[str, ...] = ()  # read-only inside what is writable: .git, .agent, rule folders
    hidden: tuple[str, ...] = ()  # not even readable; keys and key stores are by default
    readable: tuple[str, ...] = ()  # what of the defaults stays readable
    network: bool = False
    limits: Limits = field(default_factory=Limits)
