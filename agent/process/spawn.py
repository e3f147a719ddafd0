"""Runs one launch to its end: output streamed, time bounded, and nothing of it left running."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from agent.process.guards import standing
from agent.process.output import Capture
from agent.sandbox.base import Door, Launch
from agent.sandbox.usage import Watch
from execpolicy.values import frozen

_GRACE = 1.0  # from TERM to KILL
_DRAIN = 0.25  # for output that is still in the pipe when the command has ended
_REAP = 5.0  # for the kernel to end what was killed
_CHUNK = 1 << 16

OnOutput = Callable[[str], None]


@frozen(kw_only=True)
class Outcome:
    """How a command ended and what it said, standard output and error in one."""

    exit_code: int | None  # None: it did not end by itself
    signal: int | None  # the signal that ended it
    output: str  # head and tail, with a line between them that counts what is missing
    output_bytes: int
    omitted_bytes: int
    output_sha256: str  # of all bytes, also the omitted
    timed_out: bool
    seconds: float


async def run(
    launch: Launch,
    *,
    timeout: float,
    on_output: OnOutput | None = None,
    limit: int = 1 << 20,
    door: Door | None = None,
) -> Outcome:
    """Run `launch` and wait for its end. Raises OSError when it cannot be started at all.

    When the time is up, or the task is cancelled, the whole process group gets TERM and then KILL.
    """
    started = time.monotonic()
    with standing(launch.guards), closing(door):
        child = _start(launch, Capture(limit), on_output, door)
        timed_out = False
        try:
            try:
                async with asyncio.timeout(timeout):
                    await child.ended()
            except TimeoutError:
                timed_out = True
                await child.stop()
            except asyncio.CancelledError:
                await child.stop()  # cancelled once more: killed at once
                raise
            await child.drain()
            if door is not None:
                await door.settle()
        finally:
            child.close()
    return child.outcome(timed_out=timed_out, seconds=time.monotonic() - started)


def _start(launch: Launch, capture: Capture, on_output: OnOutput | None, door: Door | None) -> Child:
    reader, writer = os.pipe()
    try:
        with handed(launch, door) as (argv, descriptors):
            process = subprocess.Popen(
                argv,
                cwd=launch.cwd,
                env=launch.env,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                close_fds=True,
                pass_fds=(*launch.pass_fds, *descriptors),
                start_new_session=True,
                restore_signals=True,
            )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return Child(process, reader, capture, on_output, launch)


@contextlib.contextmanager
def handed(launch: Launch, door: Door | None = None) -> Iterator[tuple[list[str], list[int]]]:
    """Descriptors that read what the launch hands over, and the arguments that name them.

    At the end, when the child has been started, its `door` is opened. Raises ValueError where one is missing.
    """
    if launch.doorway is not None and door is None:
        raise ValueError("the child waits for its network, and nobody would make it")
    argv, descriptors = list(launch.argv), list[int]()
    ours: list[int] = []
    try:
        for place, data in launch.handed:
            descriptor = _readable(data)
            descriptors.append(descriptor)
            argv[place] = str(descriptor)
        if launch.doorway is not None:
            told, tells = os.pipe()
            ours.append(told)
            descriptors.append(tells)
            waits, hold = os.pipe()
            ours.append(hold)
            descriptors.append(waits)
            for place, descriptor in zip(launch.doorway, (tells, waits), strict=True):
                argv[place] = str(descriptor)
        yield argv, descriptors
        if door is not None and ours:
            told, hold = ours
            ours.clear()
            door.open(told, hold)
    finally:
        for descriptor in (*descriptors, *ours):
            os.close(descriptor)


@contextlib.contextmanager
def closing(door: Door | None) -> Iterator[None]:
    """Afterwards the door is closed."""
    try:
        yield
    finally:
        if door is not None:
            door.close()


def _readable(data: bytes) -> int:
    if sys.platform == "linux":
        descriptor = os.memfd_create("handed", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile(buffering=0) as file:
            descriptor = os.dup(file.fileno())
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class Child:
    """A started process, its end, and the pipe that it and its children write to."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        reader: int,
        capture: Capture,
        on_output: OnOutput | None,
        launch: Launch | None = None,
    ) -> None:
        self._process = process
        self._reader = reader
        self._capture = capture
        self._on_output = on_output
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[None] = self._loop.create_future()
        self._eof: asyncio.Future[None] = self._loop.create_future()
        self._pidfd: int | None = None
        self._stopped = ""  # by a limit: which one
        os.set_blocking(reader, False)
        self._loop.add_reader(reader, self._read)
        self._watch()
        if launch is not None and launch.limits is not None:
            self._bound(Watch(process.pid, launch.limits, launch.folders))

    def _bound(self, watch: Watch) -> None:
        """End the tree when it takes more than its limits, and say so in its output."""

        def look() -> None:
            if self._end.done() or self._process.returncode is not None:
                return
            why = watch.look()
            if why is None:
                self._loop.call_later(watch.pause, look)
                return
            self._stopped = why
            self._signal(signal.SIGKILL)

        self._loop.call_later(watch.pause, look)

    def _watch(self) -> None:
        """Learn of the end without reaping: as long as the zombie stands, its group's number is its own."""
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):  # not Linux, an old kernel, or a container that forbids it
            self._poll()
        else:
            self._loop.add_reader(self._pidfd, self._died)

    def _poll(self) -> None:
        if self._process.poll() is not None:
            # Reaped: the group's number is its own only as long as somebody is left in it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._died()
        else:
            self._loop.call_later(0.01, self._poll)

    def _died(self) -> None:
        self._unwatch()
        if not self._end.done():
            self._end.set_result(None)

    def _unwatch(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    def _read(self) -> None:
        try:
            data = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._show(self._capture.feed(data) if data else self._capture.finish())
        if not data:
            self._loop.remove_reader(self._reader)
            if not self._eof.done():
                self._eof.set_result(None)

    def _show(self, text: str) -> None:
        if text and self._on_output is not None:
            self._on_output(text)

    async def ended(self) -> None:
        await asyncio.shield(self._end)

    async def stop(self) -> None:
        """TERM to the group, and KILL when it does not listen."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self.ended()

    async def drain(self) -> None:
        """Read what is still in the pipe. A grandchild that keeps it open does not keep us."""
        self._signal(signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                await asyncio.shield(self._eof)

    def close(self) -> None:
        """Leave nothing: not a process, not a descriptor."""
        self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP)
        self._unwatch()
        if not self._eof.done():
            self._loop.remove_reader(self._reader)
            self._show(self._capture.finish())
        if self._stopped:
            self._show(self._capture.feed(f"\n[stopped: {self._stopped}]\n".encode()))
        os.close(self._reader)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def outcome(self, *, timed_out: bool, seconds: float) -> Outcome:
        status = self._process.returncode
        text, omitted = self._capture.kept()
        ended_by = -status if status is not None and status < 0 else None
        return Outcome(
            exit_code=status if status is not None and status >= 0 and not timed_out else None,
            signal=ended_by,
            output=text,
            output_bytes=self._capture.size,
            omitted_bytes=omitted,
            output_sha256=self._capture.digest,
            timed_out=timed_out,
            seconds=seconds,
        )
