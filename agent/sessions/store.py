"""Threads in SQLite: append-only events that are on the disk when `append` returns."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from agent.errors import SessionError
from agent.protocol.items import JsonObject
from agent.sessions.lock import thread_lock
from agent.sessions.schema import Foreign, migrate
from execpolicy.values import frozen

BUSY_SECONDS = 15.0
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

ITEM = "item"  # payload: one item of the conversation, as the model service knows it
TURN = "turn"  # payload: {"state": "started" | "completed" | "failed" | "interrupted", "prompt"?, ...}
USAGE = "usage"  # payload: the token counts of the thread so far


# The events of a thread, those that it shares with its parents before its own.
_LINE = """
    WITH RECURSIVE line (id, upto) AS (
        SELECT id, 9223372036854775807 FROM threads WHERE id = ?1
        UNION ALL
        SELECT threads.parent_id, min(line.upto, threads.parent_seq)
        FROM threads JOIN line ON threads.id = line.id WHERE threads.parent_id IS NOT NULL
    )
    SELECT seq, at, kind, payload FROM events JOIN line ON thread_id = line.id AND seq <= upto ORDER BY seq
"""
_OF_FOLDER = {
    None: "?1 IS NULL OR threads.cwd = ?1",
    False: "(?1 IS NULL OR threads.cwd = ?1) AND archived_at IS NULL",
    True: "(?1 IS NULL OR threads.cwd = ?1) AND archived_at IS NOT NULL",
}


@frozen(kw_only=True)
class SessionMeta:
    """What is known of a thread when it begins."""

    cwd: str
    workspace: str
    model: str
    title: str = ""
    thread_id: str | None = None  # None: a new id is made
    parent: tuple[str, int] | None = None  # of a fork: the thread and the last event that it shares


@frozen(kw_only=True)
class SessionInfo:
    """One line of the list of threads."""

    thread_id: str
    created_at: str
    updated_at: str
    cwd: str
    workspace: str
    model: str
    title: str  # the first prompt, shortened by nobody
    events: int
    name: str = ""
    archived: bool = False
    forked_from: str = ""


@frozen
class StoredEvent:
    seq: int  # from 1, without gaps
    at: str  # UTC, RFC 3339
    kind: str
    payload: JsonObject


def new_thread_id(now: float) -> str:
    """A UUID of version 7: ids sort by the time they were made."""
    value = (int(now * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    value = value & ~(0x3 << 62) | 2 << 62
    text = f"{value:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


class SessionStore:
    """One connection to the session database. Safe to call from several threads of one process.

    The journal is a WAL and `synchronous` is FULL: each commit is flushed to the disk before `append`
    returns, so an event that was acknowledged outlives `kill -9` and a power cut alike. NORMAL would
    outlive the first only, and saves a fraction of a millisecond on a disk that can flush.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self.path = path
        self._connection = connection
        self._clock = clock
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float] = time.time) -> Self:
        """The database at `path`, made or migrated where needed. Raises `SessionError`."""
        try:
            # 0600 from the first moment: SQLite would use the umask, and gives -wal and -shm the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise SessionError(
                f"cannot open the session database `{path}`: {error.strerror}",
                "set AGENT_HOME to a folder you can write, or use `--ephemeral`",
            ) from None
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA recursive_triggers = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            migrate(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except (sqlite3.Error, Foreign) as error:
            if connection is not None:
                connection.close()
            raise _unusable(path, error) from None
        return cls(path, connection, clock)

    def close(self) -> None:
        with self._guard:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, meta: SessionMeta) -> str:
        """A new thread; its id."""
        now = self._clock()
        thread_id = meta.thread_id or new_thread_id(now)
        _checked_id(thread_id)
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO threads (id, created_at, cwd, workspace, model, title, parent_id, parent_seq, "
                "born_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(id), 0) FROM events))",
                (
                    thread_id,
                    stamp(now),
                    *map(_text, (meta.cwd, meta.workspace, meta.model, meta.title)),
                    *(meta.parent or (None, None)),
                ),
            )
        return thread_id

    def append(self, thread_id: str, kind: str, payload: JsonObject) -> int:
        """Store one event; its number. On return it is on the disk."""
        return self.append_all(thread_id, ((kind, payload),))

    def append_all(self, thread_id: str, events: Sequence[tuple[str, JsonObject]]) -> int:
        """Store events together, all or none, with one flush; the number of the last."""
        at = stamp(self._clock())
        rows = [(kind, json.dumps(payload, separators=(",", ":"))) for kind, payload in events]
        with self.transaction():
            last = self._connection.execute(
                "SELECT coalesce((SELECT max(seq) FROM events WHERE thread_id = ?1), parent_seq, 0) "
                "FROM threads WHERE id = ?1 AND deleted_at IS NULL",
                (thread_id,),
            ).fetchone()
            if last is None:
                raise _missing(thread_id)
            seq = int(last[0])
            for kind, text in rows:
                seq += 1
                self._connection.execute(
                    "INSERT INTO events (thread_id, seq, at, kind, payload) VALUES (?, ?, ?, ?, ?)",
                    (thread_id, seq, at, kind, text),
                )
        return seq

    def events(self, thread_id: str) -> tuple[StoredEvent, ...]:
        """Everything stored of a thread, oldest first; of a fork, what it shares with its parent too."""
        self.info(thread_id)
        with self._reading():
            rows = self._connection.execute(_LINE, (thread_id,)).fetchall()
            return tuple(StoredEvent(seq, at, kind, _object(text)) for seq, at, kind, text in rows)

    def items(self, thread_id: str) -> tuple[JsonObject, ...]:
        """The conversation itself: the payloads of kind `item`, oldest first."""
        return tuple(event.payload for event in self.events(thread_id) if event.kind == ITEM)

    def list(
        self, cwd: str | None = None, limit: int = 1000, *, archived: bool | None = False
    ) -> tuple[SessionInfo, ...]:
        """Threads, last used first; of one folder when `cwd` is given. `archived=None`: all of them."""
        folder = None if cwd is None else _text(cwd)
        return self._infos(_OF_FOLDER[archived], folder, limit)

    def info(self, thread_id: str) -> SessionInfo:
        """One thread. Raises `SessionError` when there is none."""
        found = self._infos("threads.id = ?1", thread_id, 1)
        if not found:
            raise _missing(thread_id)
        return found[0]

    def find(self, text: str) -> SessionInfo:
        """The thread with this name, with this id, or with the only id that begins so."""
        named = self._infos("threads.name = ?1", _text(text), 1)
        if named:
            return named[0]
        if len(text) < 4 or not re.fullmatch(r"[0-9a-fA-F-]+", text):
            raise _missing(text)
        exact = self._infos("threads.id = ?1", text.lower(), 1)
        if exact:
            return exact[0]
        found = self._infos("substr(threads.id, 1, length(?1)) = ?1", text.lower(), 2)
        if not found:
            raise _missing(text)
        if len(found) > 1:
            raise SessionError(f"more than one session begins with `{text}`", "give more of the id")
        return found[0]

    def latest(self, cwd: str | None = None) -> SessionInfo | None:
        """The thread last used, in `cwd` when given."""
        found = self.list(cwd, 1)
        return found[0] if found else None

    def lock(self, thread_id: str) -> AbstractContextManager[None]:
        """The right to append to a thread, held while the block runs; one process at a time."""
        _checked_id(thread_id)
        return thread_lock(self.path.parent / "locks", thread_id)

    def settle(self) -> None:
        """Write the journal back and empty it, as far as nobody else is reading."""
        with self._reading():
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def check(self) -> str:
        """`ok`, or what SQLite finds wrong with the file. Reads all of it."""
        with self._reading():
            return str(self._connection.execute("PRAGMA integrity_check").fetchone()[0])

    def _infos(self, where: str, argument: str | None, limit: int) -> tuple[SessionInfo, ...]:
        # Each subquery walks the index of one thread and stops early: the list stays fast as events pile up.
        query = f"""
            SELECT threads.id, created_at, coalesce(last.at, created_at), cwd, workspace, model,
                   coalesce(nullif(title, ''), (
                       SELECT json_extract(payload, '$.prompt') FROM events
                       WHERE thread_id = threads.id AND kind = '{TURN}'
                         AND json_extract(payload, '$.prompt') IS NOT NULL
                       ORDER BY seq LIMIT 1
                   ), ''), coalesce(last.seq, parent_seq, 0), coalesce(name, ''), archived_at IS NOT NULL,
                   coalesce(parent_id, '')
            FROM threads
            LEFT JOIN events AS last ON last.thread_id = threads.id
                 AND last.seq = (SELECT max(seq) FROM events WHERE thread_id = threads.id)
            WHERE deleted_at IS NULL AND ({where})
            ORDER BY coalesce(last.id, born_after) DESC, threads.rowid DESC LIMIT ?2
        """  # noqa: S608 - `where` is one of the constant texts above
        with self._reading():
            rows = self._connection.execute(query, (argument, limit)).fetchall()
        return tuple(
            SessionInfo(
                thread_id=row[0],
                created_at=row[1],
                updated_at=row[2],
                cwd=row[3],
                workspace=row[4],
                model=row[5],
                title=str(row[6]),
                events=row[7],
                name=row[8],
                archived=bool(row[9]),
                forked_from=row[10],
            )
            for row in rows
        )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._guard:
            try:
                yield
            except (sqlite3.Error, ValueError, RecursionError) as error:
                raise _unusable(self.path, error) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what the block writes; on the disk when it ends."""
        with self._guard:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    if self._connection.in_transaction:  # a failure of the disk has ended it already
                        self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise _unusable(self.path, error) from None


def set_aside(path: Path, clock: Callable[[], float] = time.time) -> Path:
    """Move a database that cannot be used, with its journal, out of the way; where it is now.

    Only ever called on the explicit word of the user. Nothing is deleted.
    """
    stamp = datetime.fromtimestamp(clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
    kept = path.with_name(f"{path.name}.aside-{stamp}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.aside-{stamp}-{number}")
    try:
        path.rename(kept)
        for end in ("-wal", "-shm"):
            journal = path.with_name(path.name + end)
            if journal.exists():
                journal.rename(kept.with_name(kept.name + end))
    except OSError as error:
        raise SessionError(f"cannot move `{path}`: {error.strerror}", "move it by hand") from None
    return kept


def _object(text: object) -> JsonObject:
    payload = json.loads(text) if isinstance(text, str) else None
    if not isinstance(payload, dict):
        raise ValueError("an event of it holds no object")
    return payload


def _text(text: str) -> str:
    """A path may hold bytes that are no UTF-8, which the database cannot hold: they are written as `\\udcXX`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _checked_id(thread_id: str) -> None:
    if not _ID.match(thread_id):
        raise SessionError(f"`{thread_id}` is not a session id", "`agent sessions list` shows them")


def _missing(thread_id: str) -> SessionError:
    return SessionError(f"no session `{thread_id}`", "`agent sessions list` shows the stored ones")


def _unusable(path: Path, error: Exception) -> SessionError:
    code = getattr(error, "sqlite_errorname", "")
    if code in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return SessionError(f"the session database `{path}` is busy", "another process holds it; try again")
    if code == "SQLITE_FULL" or code.startswith("SQLITE_IOERR"):
        return SessionError(f"the session database `{path}` cannot be written: {error}", "free some space")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return SessionError(
            f"the session database `{path}` cannot be written: {error}",
            "set AGENT_HOME to a folder you can write, or use `--ephemeral`",
        )
    return SessionError(
        f"the session database `{path}` cannot be used: {error}",
        "`agent sessions set-aside` moves it away and begins a new one; nothing is deleted",
    )
