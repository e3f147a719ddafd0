"""Has a log signed while it grows. Imports nothing that signs until something is to be signed."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from compliance.errors import ComplianceError
from compliance.events import AuditEvent, SessionEnded

EVERY: Final = 256


class Checkpointer:
    """An observer that has the log signed at the end, and every so many records. Never raises.

    Signing has a thread of its own: nobody waits for a long log to be read, or for the disk.
    """

    def __init__(self, folder: Path, every: int = EVERY, close_seconds: float = 5.0) -> None:
        self._folder = folder
        self._every = every
        self._close_seconds = close_seconds
        self._next = 0
        self._wanted = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self.trouble = ""

    def observe(self, seq: int, event: AuditEvent) -> None:
        self._next = self._next or seq + self._every
        if seq >= self._next or isinstance(event, SessionEnded):
            self._next = seq + self._every
            self._ask()

    def close(self) -> None:
        if not self._next:
            return
        self._next = 0
        self._ending = True
        self._ask()
        if self._thread is not None:
            self._thread.join(self._close_seconds)
            if self._thread.is_alive():
                self.trouble = "the audit log could not be signed in time: run `agent audit checkpoint`"

    def _ask(self) -> None:
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        ending = False
        while not ending:
            self._wanted.wait()
            self._wanted.clear()
            ending = self._ending  # read before signing: what came before the end is then signed
            from compliance.checkpoint import advance  # late: it costs time at the start of each run

            try:
                advance(self._folder)
                self.trouble = ""
            except (ComplianceError, OSError) as error:
                self.trouble = str(error)


def checkpointer(folder: Path) -> Checkpointer | None:
    """The observer that has the log in `folder` signed, where signing is installed."""
    return Checkpointer(folder) if find_spec("cryptography") is not None else None
