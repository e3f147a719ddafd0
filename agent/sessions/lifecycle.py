"""What a person may do with a stored thread beside going on with it: name, fork, archive, delete."""

from __future__ import annotations

import re
import sqlite3
import time

from agent.errors import SessionError
from agent.sessions.store import SessionMeta, SessionStore, stamp

MOST_NAME = 100  # characters
_LIKE_ID = re.compile(r"[0-9a-fA-F-]{4,}")  # would stand for another session


def fork(store: SessionStore, thread_id: str, meta: SessionMeta) -> str:
    """A new thread that begins where `thread_id` is now. History is shared, not copied."""
    parent = store.info(thread_id)
    return store.create(
        SessionMeta(
            cwd=meta.cwd,
            workspace=meta.workspace,
            model=meta.model,
            title=meta.title or parent.title,
            thread_id=meta.thread_id,
            parent=(parent.thread_id, parent.events),
        )
    )


def rename(store: SessionStore, thread_id: str, name: str) -> None:
    """Give the thread a name by which it is found; an empty one takes the name away."""
    name = name.strip()
    if len(name) > MOST_NAME or not name.isprintable() or name.startswith("-"):
        raise SessionError(
            f"`{name[:MOST_NAME]}` cannot be a name", f"at most {MOST_NAME} characters that can be printed"
        )
    if _LIKE_ID.fullmatch(name):
        raise SessionError(f"`{name}` cannot be a name: it looks like an id", "take other letters")
    if name:
        for other in store.list(archived=None, limit=-1):
            if other.name == name and other.thread_id != thread_id:
                raise SessionError(f"session `{other.thread_id}` has the name `{name}`", "take another one")
    with store.transaction() as connection:
        connection.execute("UPDATE threads SET name = ? WHERE id = ?", (name or None, thread_id))


def archive(store: SessionStore, thread_id: str, *, away: bool) -> None:
    """Take the thread out of the list, or put it back. An archived thread is not gone on with."""
    at = stamp(time.time()) if away else None
    with store.transaction() as connection:
        connection.execute("UPDATE threads SET archived_at = ? WHERE id = ?", (at, thread_id))


def delete(store: SessionStore, thread_id: str) -> int:
    """Remove the thread for good; the number of its events that stay because forks share them.

    What is removed is overwritten on the disk as far as SQLite can see to it.
    """
    with store.lock(thread_id), store.transaction() as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(
            "UPDATE threads SET deleted_at = ?, name = NULL, title = '' WHERE id = ?",
            (stamp(time.time()), thread_id),
        )
        _sweep(connection)
        kept = connection.execute("SELECT count(*) FROM events WHERE thread_id = ?", (thread_id,)).fetchone()
    store.settle()
    return int(kept[0])


def _sweep(connection: sqlite3.Connection) -> None:
    """Remove of all deleted threads what no thread needs any more. A parent goes after its last fork."""
    while True:
        changed = 0
        for (thread_id,) in connection.execute(
            "SELECT id FROM threads WHERE deleted_at IS NOT NULL"
        ).fetchall():
            needed, forks = connection.execute(
                "SELECT coalesce(max(parent_seq), 0), count(*) FROM threads WHERE parent_id = ?", (thread_id,)
            ).fetchone()
            changed += connection.execute(
                "DELETE FROM events WHERE thread_id = ? AND seq > ?", (thread_id, needed)
            ).rowcount
            if not forks:
                changed += connection.execute("DELETE FROM threads WHERE id = ?", (thread_id,)).rowcount
        if not changed:
            return
