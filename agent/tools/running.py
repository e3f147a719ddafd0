"""The commands that go on after their call was answered: numbered, bounded in number, ended with the session."""

from __future__ import annotations

import asyncio
import random

from agent.process.pty import Session
from agent.sandbox.spec import SandboxSpec
from execpolicy.values import field, slotted

MOST_RUNNING = 16
HISTORY = 64_000  # characters that one shell may be given in all


@slotted
class Running:
    """One such command. `shell`: it is a bash that reads all texts it is given as one script."""

    number: int
    command: str
    cwd: str
    session: Session
    shell: bool
    call_id: str
    spec: SandboxSpec  # what it is confined to
    history: str = ""  # of a shell: every text it was given
    held: str = ""  # of a shell: the start of a line whose end has not come
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RunningCommands:
    """Those of one thread."""

    def __init__(self) -> None:
        self._running: dict[int, Running] = {}

    def add(
        self, command: str, cwd: str, session: Session, spec: SandboxSpec, *, shell: bool, call_id: str
    ) -> Running:
        """Give it a number. It stays known until it has ended and that was told."""
        for old in [one for one in self._running.values() if not one.session.running][:-MOST_RUNNING]:
            self.forget(old)
        number = next(n for n in iter(lambda: random.randint(1000, 99_999), 0) if n not in self._running)
        running = Running(number, command, cwd, session, shell, call_id, spec)
        self._running[number] = running
        return running

    def find(self, number: int) -> Running | None:
        return self._running.get(number)

    def forget(self, running: Running) -> None:
        self._running.pop(running.number, None)

    @property
    def full(self) -> bool:
        """As many run as may."""
        return sum(one.session.running for one in self._running.values()) >= MOST_RUNNING

    @property
    def told(self) -> tuple[Running, ...]:
        """Those that still run, oldest first."""
        return tuple(one for one in self._running.values() if one.session.running)

    def described(self) -> str:
        """Those that still run, for the model."""
        lines = [f"- session {one.number}: `{one.command[:200]}`" for one in self.told]
        return "Commands that still run:\n" + "\n".join(lines) if lines else ""

    async def close(self) -> None:
        """End them all."""
        await asyncio.gather(*(one.session.stop() for one in self._running.values()))
        self._running.clear()
