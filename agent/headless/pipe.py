"""Standard output as a reader of events has it: whoever reads slowly is waited for, but not once the run is to end."""

from __future__ import annotations

import os
import select
import time

LAST_SECONDS = 2.0  # for a reader that does not read, once somebody wants the run to end
_PIECE = 4096  # bytes that a pipe which is ready takes without waiting, by POSIX (PIPE_BUF) on every system of ours


class Pipe:
    """Writes lines to a descriptor. What nobody reads when the run ends is dropped, from a whole piece on."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._until: float | None = None
        self._over = False
        self._ready = select.poll()
        self._ready.register(fd, select.POLLOUT)

    def write(self, line: str) -> None:
        """Write all of it. Raises `OSError` where the reader is gone."""
        data = line.encode()
        while data and not self._over:
            # Not in one call that waits: it would go on when a signal comes, and nobody would hear of the signal.
            if not self._ready.poll(100):
                self._over = self._until is not None and time.monotonic() > self._until
                continue
            data = data[os.write(self._fd, data[:_PIECE]) :]

    def hurry(self) -> None:
        """The run is to end. May be called while a line is written, by a handler of signals."""
        if self._until is None:
            self._until = time.monotonic() + LAST_SECONDS
