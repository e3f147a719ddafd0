"""What a witness knows, one row a log in SQLite, and its answer to a request."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compliance.cosign import Cosigner
from compliance.merkle import EMPTY, Growth, is_consistent
from compliance.note import SealError, Verifier, parted
from compliance.witness.request import Request, read_request

_TABLE: Final = """\
CREATE TABLE IF NOT EXISTS logs (
    origin TEXT PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL
) STRICT"""
PLAIN: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str
    kind: str = PLAIN


class Memory:
    """Latest checkpoint of each trusted log. Several threads and processes may ask at once."""

    def __init__(self, path: Path, cosigner: Cosigner, clock: Callable[[], int]) -> None:
        self._path = path
        self._cosigner = cosigner
        self._clock = clock
        with self._database() as database:
            database.execute(_TABLE)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """One transaction: what is read in it holds until it is over."""
        try:
            database = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        except sqlite3.Error as error:
            raise SealError(f"cannot open `{self._path}`: {error}", "name another file with --db") from error
        try:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            raise SealError(
                f"cannot use `{self._path}`: {error}", "is it a database of a witness?"
            ) from error
        finally:
            database.close()

    def trust(self, logs: Sequence[Verifier]) -> None:
        """Take requests of these logs. What is known of them already stays."""
        with self._database() as database:
            for log in logs:
                database.execute(
                    "INSERT INTO logs VALUES (?, ?, 0, ?, '') ON CONFLICT (origin) DO NOTHING",
                    (log.name, log.public.hex(), EMPTY),
                )
                (kept,) = database.execute("SELECT key FROM logs WHERE origin = ?", (log.name,)).fetchone()
                if kept != log.public.hex():
                    raise SealError(f"another key is trusted for `{log.name}`", "a log keeps its key")

    def latest(self, origin: str) -> Answer:
        """The latest checkpoint of a log, with the cosignature of it."""
        with self._database() as database:
            row = database.execute("SELECT note FROM logs WHERE origin = ?", (origin,)).fetchone()
        return Answer(200, row[0]) if row and row[0] else Answer(404, "no checkpoint of this log is known\n")

    def add(self, body: str) -> Answer:
        """The answer to `add-checkpoint`. When it is a cosignature, the checkpoint is remembered before."""
        request = read_request(body)
        if request is None:
            return Answer(400, "this is no request to add a checkpoint\n")
        with self._database() as database:
            return self._judged(database, request)

    def _judged(self, database: sqlite3.Connection, request: Request) -> Answer:
        new = request.checkpoint
        row = database.execute("SELECT key, size, root FROM logs WHERE origin = ?", (new.origin,)).fetchone()
        if row is None:
            return Answer(404, "this log is not known here\n")
        key, size, root = row
        if not Verifier(new.origin, bytes.fromhex(key)).signed(request.note):
            return Answer(403, "the checkpoint is not signed by the key of this log\n")
        if request.old > new.size:
            return Answer(400, "the old size is above the new one\n")
        if request.old != size or (size == new.size and root != new.root):
            return Answer(409, f"{size}\n", SIZE)
        if not new.size and new.root != EMPTY:
            return Answer(422, "an empty log has another root\n")
        if not is_consistent(Growth(size, root, new.size, new.root), request.proof):
            return Answer(422, "the new checkpoint does not only add to the old one\n")
        pieces = parted(request.note)
        assert pieces is not None, "it was signed"
        line = self._cosigner.cosign(pieces[0], self._clock())
        database.execute(
            "UPDATE logs SET size = ?, root = ?, note = ? WHERE origin = ?",
            (new.size, new.root, f"{_own(request.note, new.origin)}{line}", new.origin),
        )
        return Answer(200, line)


def _own(note: str, origin: str) -> str:
    """`note` with the signatures of the log alone: those of others are not kept."""
    text, _, under = note.rpartition("\n\n")
    mine = [line for line in under.splitlines() if line.startswith(f"— {origin} ")]
    return "\n".join([text, "", *mine, ""])
