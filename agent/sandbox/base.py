"""A back end that gives a child less power, and can say why it cannot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from agent.sandbox.spec import SandboxSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is about to be started. `env` is the whole environment of the child."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    handed: tuple[tuple[int, bytes], ...] = ()  # (place in argv for the descriptor's number, what it reads)
    guards: tuple[str, ...] = ()  # folders made for the run where missing, removed after it while empty


class Sandbox(Protocol):
    @property
    def name(self) -> str:
        """bubblewrap, seatbelt, none: goes into the record."""
        ...

    def why_not(self) -> str | None:
        """None: this machine can. Else the reason and the remedy, one line."""
        ...

    def wrap(self, launch: Launch, spec: SandboxSpec) -> Launch:
        """The launch that runs `launch` confined to `spec`. Starts nothing."""
        ...
