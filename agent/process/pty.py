"""A launch that outlives the call that started it: polled, written to, and ended with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import fcntl
import os
import struct
import subprocess
import termios
import time

from agent.process.guards import standing
from agent.process.output import Capture
from agent.process.spawn import Child, OnOutput, Outcome, closing, handed
from agent.sandbox.base import Door, Launch

_ROWS, _COLUMNS = 24, 200
_WRITE_SECONDS = 10.0  # for a program that does not read


class Input(enum.Enum):
    """Where the standard input of a session comes from."""

    NOTHING = "nothing"
    PIPE = "pipe"
    TERMINAL = "terminal"


class _Tee(Capture):
    """Keeps the whole, and apart from it what came since it was last asked for."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._limit = limit
        self._fresh = Capture(limit)

    def feed(self, data: bytes) -> str:
        self._fresh.feed(data)
        return super().feed(data)

    def fresh(self) -> Capture:
        fresh, self._fresh = self._fresh, Capture(self._limit)
        return fresh


class Session:
    """A started launch. INVARIANT: when `outcome` is there, nothing of it runs any more."""

    def __init__(
        self, child: Child, tee: _Tee, writer: int | None, cleanup: contextlib.ExitStack, started: float
    ) -> None:
        self._child = child
        self._tee = tee
        self._writer = writer
        self._cleanup = cleanup
        self._task: asyncio.Task[None] | None = None
        self._door: Door | None = None
        self._started = started
        self._timed_out = False
        self._begun = False
        self.stopped = False  # by us, before its time
        self.outcome: Outcome | None = None

    @classmethod
    def start(
        cls,
        launch: Launch,
        *,
        seconds: float,
        source: Input = Input.NOTHING,
        terminal: bool = False,
        on_output: OnOutput | None = None,
        limit: int = 1 << 20,
        door: Door | None = None,
    ) -> Session:
        """Start it, for at most `seconds`. `terminal`: it writes to one. Raises OSError when it cannot start."""
        started = time.monotonic()
        cleanup = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.push(cleanup)
            cleanup.enter_context(standing(launch.guards))
            tee = _Tee(limit)
            cleanup.enter_context(closing(door))
            child, writer = _child(launch, tee, source, terminal, on_output, door)
            undo.pop_all()
        session = cls(child, tee, writer, cleanup, started)
        session._door = door
        session._task = asyncio.create_task(session._live(seconds))
        return session

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def running(self) -> bool:
        return self.outcome is None

    @property
    def takes_input(self) -> bool:
        return self._writer is not None and self.running

    async def wait(self, seconds: float | None = None) -> Outcome | None:
        """Wait for the end, at most so long. Cancelling the wait does not end the session."""
        if self._task is not None and self.outcome is None:
            await asyncio.wait({self._task}, timeout=seconds)
        return self.outcome

    def fresh(self) -> tuple[str, int, int]:
        """What it said since the last time: the text, bytes left out of it, bytes in all."""
        capture = self._tee.fresh()
        text, omitted = capture.kept()
        return text, omitted, capture.size

    def news(self) -> tuple[str, ...]:
        """What is to be told about its network, since the last time."""
        return () if self._door is None else self._door.news()

    async def write(self, data: bytes) -> bool:
        """Hand it input. False: it did not take all of it in time, or it takes none."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _WRITE_SECONDS
        while data and self.running and (writer := self._writer) is not None:
            try:
                data = data[os.write(writer, data) :]
            except BlockingIOError:
                if loop.time() >= end:
                    return False
                await asyncio.sleep(0.02)
            except OSError:
                return False
        return not data

    def close_input(self) -> None:
        """Let it read the end of its input."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None

    async def stop(self) -> Outcome | None:
        """End it: TERM to the group, then KILL. Cancelled meanwhile: KILL at once."""
        self.kill()
        try:
            return await self.wait()
        except asyncio.CancelledError:
            self.kill()
            return await self.wait()

    def kill(self) -> None:
        """Begin to end it; once more: at once."""
        if self._task is not None and not self._task.done():
            self.stopped = True
            if self._begun:
                self._task.cancel()
            else:  # a task that is cancelled before it has begun would leave everything as it is
                asyncio.get_running_loop().call_soon(self._task.cancel)

    async def _live(self, seconds: float) -> None:
        self._begun = True
        try:
            try:
                async with asyncio.timeout(seconds):
                    await self._child.ended()
            except TimeoutError:
                self._timed_out = True
                await self._child.stop()
            except asyncio.CancelledError:
                await self._child.stop()
            await self._child.drain()
            if self._door is not None:
                await self._door.settle()
        except asyncio.CancelledError:
            pass  # cancelled once more: killed at once, below
        finally:
            self._child.close()
            self.close_input()
            self._cleanup.close()
            self.outcome = self._child.outcome(timed_out=self._timed_out, seconds=self.seconds)


def _child(
    launch: Launch,
    tee: Capture,
    source: Input,
    terminal: bool,
    on_output: OnOutput | None,
    door: Door | None,
) -> tuple[Child, int | None]:
    """The process, and the descriptor that its input is written to."""
    ours: list[int] = []
    theirs: list[int] = []
    writer: int | None = None
    try:
        if terminal:
            reader, outside = os.openpty()
            fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        else:
            reader, outside = os.pipe()
        ours.append(reader)
        theirs.append(outside)
        inside = subprocess.DEVNULL
        match source:
            case Input.NOTHING:
                pass
            case Input.PIPE:
                inside, writer = os.pipe()
                theirs.append(inside)
            case Input.TERMINAL:
                inside, writer = outside, os.dup(reader)
        if writer is not None:
            ours.append(writer)
            os.set_blocking(writer, False)
        with handed(launch, door) as (argv, descriptors):
            process = subprocess.Popen(
                argv,
                cwd=launch.cwd,
                env=launch.env,
                stdin=inside,
                stdout=outside,
                stderr=outside,
                close_fds=True,
                pass_fds=(*launch.pass_fds, *descriptors),
                start_new_session=True,
                restore_signals=True,
            )
    except BaseException:
        for descriptor in ours:
            os.close(descriptor)
        raise
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    return Child(process, reader, tee, on_output, launch), writer
