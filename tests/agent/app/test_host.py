"""What a thread writes is in the store, in order, also after a write that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.app.host import _StoreJournal
from agent.core.journal import ITEM, TURN, USAGE
from agent.errors import SessionError
from agent.sessions.store import SessionMeta, SessionStore


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore.open(tmp_path / "sessions.db")


def stored(store: SessionStore, thread: str) -> list[tuple[str, object]]:
    return [(event.kind, event.payload.get("n")) for event in store.events(thread)]


def test_an_entry_is_stored_when_write_returns_and_takes_the_count_before_it_along(
    store: SessionStore,
) -> None:
    thread = store.create(SessionMeta(cwd="/", workspace="/", model="m"))
    journal = _StoreJournal(store, thread)
    journal.write(ITEM, {"n": 1})
    assert stored(store, thread) == [(ITEM, 1)]
    journal.write(USAGE, {"n": 2})
    journal.write(ITEM, {"n": 3})
    assert stored(store, thread) == [(ITEM, 1), (USAGE, 2), (ITEM, 3)]
    journal.write(USAGE, {"n": 4})
    journal.write(TURN, {"n": 5})
    assert stored(store, thread)[-2:] == [(USAGE, 4), (TURN, 5)]


def test_a_write_that_fails_is_raised_and_order_is_kept(
    store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = store.create(SessionMeta(cwd="/", workspace="/", model="m"))
    journal = _StoreJournal(store, thread)
    real = store.append_all

    def full(*args: object) -> int:
        raise SessionError("disk full")

    monkeypatch.setattr(store, "append_all", full)
    with pytest.raises(SessionError):
        journal.write(ITEM, {"n": 1})
    monkeypatch.setattr(store, "append_all", real)
    journal.write(ITEM, {"n": 2})
    assert stored(store, thread) == [(ITEM, 1), (ITEM, 2)]
