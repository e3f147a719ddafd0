"""The tables of the session database and the numbered steps that lead to them."""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x61676E74  # "agnt": tells our database from anybody else's

# INVARIANT: a step that was released is never edited, only followed by another.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE threads (
            id TEXT PRIMARY KEY,
            created_at TEXT NOT NULL,
            cwd TEXT NOT NULL,
            workspace TEXT NOT NULL,
            model TEXT NOT NULL,
            title TEXT NOT NULL DEFAULT ''
        )
        """,
        """
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            thread_id TEXT NOT NULL REFERENCES threads (id),
            seq INTEGER NOT NULL,
            at TEXT NOT NULL,
            kind TEXT NOT NULL,
            payload TEXT NOT NULL,
            UNIQUE (thread_id, seq)
        )
        """,
        "CREATE INDEX threads_by_cwd ON threads (cwd)",
        """
        CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """,
        """
        CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """,
        # INSERT OR REPLACE removes a row without asking the trigger above.
        """
        CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
        WHEN EXISTS (
            SELECT 1 FROM events
            WHERE id = NEW.id OR (thread_id = NEW.thread_id AND seq = NEW.seq)
        )
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """,
        """
        CREATE TRIGGER threads_are_not_removed BEFORE DELETE ON threads
        BEGIN SELECT RAISE(ABORT, 'threads are append-only'); END
        """,
    ),
    (
        "ALTER TABLE threads ADD COLUMN name TEXT",
        "ALTER TABLE threads ADD COLUMN archived_at TEXT",
        # Set on the word of the user; what no other thread shares goes with it.
        "ALTER TABLE threads ADD COLUMN deleted_at TEXT",
        # A fork begins with the events of its parent up to this one, and counts on from it.
        "ALTER TABLE threads ADD COLUMN parent_id TEXT REFERENCES threads (id)",
        "ALTER TABLE threads ADD COLUMN parent_seq INTEGER",
        # The last event of all threads when it began: where it stands in the list while it has none.
        "ALTER TABLE threads ADD COLUMN born_after INTEGER NOT NULL DEFAULT 0",
        "CREATE UNIQUE INDEX threads_by_name ON threads (name) WHERE name IS NOT NULL",
        "CREATE INDEX threads_by_parent ON threads (parent_id) WHERE parent_id IS NOT NULL",
        "DROP TRIGGER events_are_not_removed",
        """
        CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
        WHEN NOT EXISTS (SELECT 1 FROM threads WHERE id = OLD.thread_id AND deleted_at IS NOT NULL)
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """,
        "DROP TRIGGER threads_are_not_removed",
        """
        CREATE TRIGGER threads_are_not_removed BEFORE DELETE ON threads WHEN OLD.deleted_at IS NULL
        BEGIN SELECT RAISE(ABORT, 'threads are append-only'); END
        """,
        """
        CREATE TRIGGER threads_stay_deleted BEFORE UPDATE OF deleted_at ON threads
        WHEN OLD.deleted_at IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'a deleted thread stays deleted'); END
        """,
        """
        CREATE TRIGGER threads_keep_their_parent BEFORE UPDATE OF id, parent_id, parent_seq ON threads
        BEGIN SELECT RAISE(ABORT, 'the origin of a thread does not change'); END
        """,
    ),
)


class Foreign(Exception):
    """The database is somebody else's, or newer than this program. The text says which."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest form, in one transaction. Raises `Foreign`."""
    if _position(connection) == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited for the lock.
        for number in range(_position(connection), len(MIGRATIONS)):
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a failure of the disk has ended it already
            connection.execute("ROLLBACK")
        raise


def _position(connection: sqlite3.Connection) -> int:
    owner = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    if owner != APPLICATION_ID:
        if owner or version or _number(connection, "SELECT count(*) FROM sqlite_master"):
            raise Foreign("belongs to another program")
        return 0
    if not 0 < version <= len(MIGRATIONS):
        raise Foreign(f"has form {version}, this version knows up to {len(MIGRATIONS)}")
    return version


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
