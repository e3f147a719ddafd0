"""Opens and resumes threads: their store, their lock, their history."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from agent.config.model import Settings
from agent.core.context import History, replay
from agent.core.journal import USAGE, Journal, NoJournal
from agent.core.thread import Thread
from agent.errors import SessionError
from agent.protocol.items import JsonObject
from agent.sessions.lifecycle import fork
from agent.sessions.store import SessionInfo, SessionMeta, SessionStore, new_thread_id
from execpolicy.values import frozen


@frozen
class Stored:
    """A thread as the disk knows it."""

    thread_id: str
    history: History
    journal: Journal
    resumed: bool


# Makes the thread. What it opens goes on the stack, which is closed when the thread is.
Wire = Callable[[Stored, AsyncExitStack], Thread]


class _StoreJournal:
    """Writes to the store. A count of tokens waits for the entry that follows it: each flush costs time."""

    def __init__(self, store: SessionStore, thread_id: str) -> None:
        self._store = store
        self._thread_id = thread_id
        self._held: list[tuple[str, JsonObject]] = []

    def write(self, kind: str, payload: JsonObject) -> None:
        self._held.append((kind, payload))
        if kind != USAGE:
            # What is held stays so until it is stored: order is never lost.
            self._store.append_all(self._thread_id, self._held)
            self._held.clear()


class Host:
    """Threads of one set of settings."""

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire

    async def open(self) -> Thread:
        """A new thread."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            if settings.ephemeral:
                stored = Stored(new_thread_id(time.time()), History(), NoJournal(), resumed=False)
            else:
                store = stack.enter_context(SessionStore.open(settings.database))
                thread_id = store.create(self._meta())
                stack.enter_context(store.lock(thread_id))
                stored = Stored(thread_id, History(), _StoreJournal(store, thread_id), resumed=False)
            return self._opened(stored, stack)

    async def resume(self, thread_id: str) -> Thread:
        """A stored thread, where it was. Raises `SessionError` when another process has it."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            store = stack.enter_context(SessionStore.open(settings.database))
            info = store.find(thread_id)
            found = info.thread_id
            if info.archived:
                raise SessionError(
                    f"session `{found}` is archived", f"run `agent sessions unarchive {found}`"
                )
            stack.enter_context(store.lock(found))
            history = History()
            replay(((event.kind, event.payload) for event in store.events(found)), history)
            stored = Stored(found, history, _StoreJournal(store, found), resumed=True)
            return self._opened(stored, stack)

    async def fork(self, thread_id: str) -> Thread:
        """A new thread that begins with all that the stored one holds; that one stays as it is."""
        settings = self._settings
        async with AsyncExitStack() as stack:
            store = stack.enter_context(SessionStore.open(settings.database))
            parent = store.find(thread_id).thread_id
            if settings.ephemeral:
                found = new_thread_id(time.time())
                journal: Journal = NoJournal()
                events = store.events(parent)
            else:
                found = fork(store, parent, self._meta())
                stack.enter_context(store.lock(found))
                journal = _StoreJournal(store, found)
                events = store.events(found)
            history = History()
            replay(((event.kind, event.payload) for event in events), history)
            return self._opened(Stored(found, history, journal, resumed=True), stack)

    def _meta(self) -> SessionMeta:
        settings = self._settings
        return SessionMeta(
            cwd=str(settings.cwd), workspace=str(settings.workspace), model=settings.model_in_force
        )

    def sessions(self, limit: int = 1000) -> tuple[SessionInfo, ...]:
        """What is stored, the last used first."""
        if not self._settings.database.exists():
            return ()
        with SessionStore.open(self._settings.database) as store:
            return store.list(limit=limit)

    def _opened(self, stored: Stored, stack: AsyncExitStack) -> Thread:
        thread = self._wire(stored, stack)
        # From here on the thread lets go of what it holds; before, a failure on the way does.
        kept = stack.pop_all()
        thread.owns(kept.aclose)
        return thread
