"""Has a log signed while it grows. Imports nothing that signs until something is to be signed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from compliance.errors import ComplianceError
from compliance.events import AuditEvent, Witnessed

if TYPE_CHECKING:
    from compliance.checkpoint import Signed

EVERY: Final = 256
WITNESS_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class NamedWitness:
    """A witness as the settings name it."""

    url: str
    key: str


class Checkpointer:
    """An observer that has the log signed at the end, and every so many records. Never raises.

    Signing has a thread of its own: nobody waits for a long log to be read, or for the disk. Where a witness is
    named it is asked to cosign what was signed; what came of it is recorded.
    """

    def __init__(
        self,
        folder: Path,
        every: int = EVERY,
        close_seconds: float = 5.0,
        witness: NamedWitness | None = None,
    ) -> None:
        self._folder = folder
        self._every = every
        self._close_seconds = close_seconds
        self._next = 0
        self._wanted = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._witness = witness
        self._session = ""
        self.trouble = ""
        self.unwitnessed = ""  # why the witness did not cosign

    def observe(self, seq: int, event: AuditEvent) -> None:
        self._next = self._next or seq + self._every
        self._session = event.session or self._session
        if seq >= self._next:
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
                signed = advance(self._folder)
                self.trouble = ""
            except (ComplianceError, OSError) as error:
                self.trouble = str(error)
                continue
            if signed is not None and self._witness is not None:
                self._ask_witness(self._witness, signed)

    def _ask_witness(self, named: NamedWitness, signed: Signed) -> None:
        from compliance.log import AuditLog
        from compliance.witness.client import cosign

        name = named.key.partition("+")[0] or named.url
        why = cosign(self._folder, signed, named.url, named.key, WITNESS_SECONDS)
        self.unwitnessed = why and f"{name}: {why}"
        told = Witnessed(self._session, name, signed.checkpoint.size, not why, why)
        try:  # the session's own log may be closed by now
            log = AuditLog(self._folder, lock_seconds=1.0)
            try:
                log.record(told)
            finally:
                log.close()
        except ComplianceError as error:
            self.trouble = str(error)


def checkpointer(folder: Path, witness: NamedWitness | None = None) -> Checkpointer | None:
    """The observer that has the log in `folder` signed, where signing is installed."""
    return Checkpointer(folder, witness=witness) if find_spec("cryptography") is not None else None
