"""A back end that gives a child less power, and can say why it cannot."""

from __future__ import annotations

from typing import Final, Protocol

from agent.sandbox.spec import Limits, SandboxSpec
from execpolicy.values import field, frozen

# Guards that are files, by name: a folder would break git there, and this says what holds where there is none.
GUARD_FILES: Final = {"commondir": b".\n"}


@frozen(kw_only=True)
class Launch:
    """What is about to be started. `env` is the whole environment of the child."""

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    handed: tuple[tuple[int, bytes], ...] = ()  # (place in argv for the descriptor's number, what it reads)
    guards: tuple[str, ...] = ()  # made for the run where missing, removed after it while nobody changed them
    # Places in argv for two descriptors: the one on which the child's id is told, and the one on which the
    # child waits until its network stands. None: it waits for nothing.
    doorway: tuple[int, int] | None = None
    limits: Limits | None = None  # of the whole tree, looked at while it runs
    folders: tuple[str, ...] = ()  # whose file systems it may fill: looked at as well


class Door(Protocol):
    """Gives a child that waits its network, for as long as it lives."""

    def open(self, told: int, hold: int) -> None:
        """Take both descriptors: `told` reads who the child is, a byte into `hold` lets it run."""
        ...

    async def settle(self) -> None:
        """The child has ended: what it had finished is taken for finished. A moment at the most."""
        ...

    def close(self) -> None:
        """The child has ended: nothing of its network may be left. May be called twice, and unopened."""
        ...

    def news(self) -> tuple[str, ...]:
        """Lines for the person and the model about what was not let through, since this was last asked."""
        ...


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
