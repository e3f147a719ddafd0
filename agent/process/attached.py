"""Runs one launch on the caller's own standard input, output and error, and leaves nothing of it running."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType

from agent.process.guards import standing
from agent.process.spawn import closing, handed
from agent.sandbox.base import Door, Launch
from agent.sandbox.usage import Watch

_GRACE = 2.0


def run_attached(launch: Launch, door: Door | None = None) -> int:
    """Run `launch` to its end; its exit status, 128 + n for a signal. Nothing else is inherited.

    An interrupt or TERM that arrives here ends the command first.
    """
    with standing(launch.guards), _ending_well(), closing(door):
        with handed(launch, door) as (argv, descriptors):
            process = subprocess.Popen(
                argv,
                cwd=launch.cwd,
                env=launch.env,
                close_fds=True,
                pass_fds=(*launch.pass_fds, *descriptors),
            )
        try:
            status = _wait(process, launch)
        except BaseException:
            _stop(process)
            raise
    return status if status >= 0 else 128 - status


def _wait(process: subprocess.Popen[bytes], launch: Launch) -> int:
    if launch.limits is None:
        return process.wait()
    watch = Watch(process.pid, launch.limits, launch.folders)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(watch.pause)
        if (why := watch.look()) is not None:
            process.kill()
            print(f"stopped: {why}", file=sys.stderr)
            return process.wait()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _ending_well() -> Iterator[None]:
    """TERM and hang-up leave by way of the clean-up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
