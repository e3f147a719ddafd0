"""Forks share history, names find sessions, and what is deleted is gone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import SessionError
from agent.protocol.items import JsonObject, call_output, user_message
from agent.sessions import schema
from agent.sessions.export import json_lines, markdown
from agent.sessions.lifecycle import archive, delete, fork, rename
from agent.sessions.search import search
from agent.sessions.store import ITEM, SessionMeta, SessionStore

META = SessionMeta(cwd="/work", workspace="/work", model="m")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    with SessionStore.open(tmp_path / "sessions.db") as opened:
        yield opened


def thread(store: SessionStore, *texts: str) -> str:
    thread_id = store.create(META)
    for text in texts:
        store.append(thread_id, ITEM, user_message(text))
    return thread_id


def texts(store: SessionStore, thread_id: str) -> list[str]:
    return [item["content"][0]["text"] for item in store.items(thread_id)]  # type: ignore[index,call-overload]


def count(store: SessionStore) -> int:
    with store.transaction() as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


def test_a_fork_shares_history_and_both_go_on_alone(store: SessionStore) -> None:
    first = thread(store, "a", "b")
    second = fork(store, first, META)
    assert count(store) == 2, "nothing was copied"
    assert store.append(first, ITEM, user_message("c")) == 3
    assert store.append(second, ITEM, user_message("d")) == 3
    third = fork(store, second, META)
    store.append(third, ITEM, user_message("e"))
    fourth = fork(store, fork(store, third, META), META)
    assert [texts(store, one) for one in (first, second, third, fourth)] == [
        ["a", "b", "c"],
        ["a", "b", "d"],
        ["a", "b", "d", "e"],
        ["a", "b", "d", "e"],
    ]
    assert [event.seq for event in store.events(fourth)] == [1, 2, 3, 4]
    assert store.info(third).forked_from == second
    assert store.info(fourth).events == 4


def test_a_fork_without_an_event_of_its_own_is_the_last_used(store: SessionStore) -> None:
    first = thread(store, "a")
    other = thread(store, "b")
    child = fork(store, first, META)
    assert [info.thread_id for info in store.list()] == [child, other, first]
    store.append(first, ITEM, user_message("c"))
    assert store.list()[0].thread_id == first


def test_what_is_deleted_is_gone_from_the_disk(store: SessionStore, tmp_path: Path) -> None:
    kept = thread(store, "kept")
    gone = thread(store, "canary-4711" * 500, "canary-4711")
    assert delete(store, gone) == 0
    with pytest.raises(SessionError, match="no session"):
        store.find(gone)
    with pytest.raises(SessionError, match="no session"):
        store.append(gone, ITEM, user_message("x"))
    assert texts(store, kept) == ["kept"]
    assert store.check() == "ok"
    assert [
        file for file in tmp_path.iterdir() if file.is_file() and b"canary-4711" in file.read_bytes()
    ] == []


def test_of_a_deleted_session_stays_what_a_fork_needs_and_no_more(store: SessionStore) -> None:
    first = thread(store, "a", "b")
    second = fork(store, first, META)
    store.append(first, ITEM, user_message("c"))
    assert delete(store, first) == 2
    assert texts(store, second) == ["a", "b"]
    assert [info.thread_id for info in store.list()] == [second]
    assert delete(store, second) == 0
    assert count(store) == 0


def test_a_session_that_is_open_elsewhere_is_not_deleted(store: SessionStore, tmp_path: Path) -> None:
    first = thread(store, "a")
    with (
        SessionStore.open(tmp_path / "sessions.db") as other,
        other.lock(first),
        pytest.raises(SessionError, match="is open in another process"),
    ):
        delete(store, first)
    assert texts(store, first) == ["a"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM threads",
        "DELETE FROM events",
        "UPDATE threads SET parent_seq = 1",
        "UPDATE threads SET parent_id = NULL",
    ],
)
def test_history_is_not_rewritten_in_passing(store: SessionStore, statement: str) -> None:
    thread(store, "a")
    with pytest.raises(SessionError, match=r"append-only|does not change"), store.transaction() as connection:
        connection.execute(statement)


def test_a_database_of_the_first_form_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    connection = sqlite3.connect(path)
    for statement in schema.MIGRATIONS[0]:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO threads VALUES ('01a20d4e-aca5-7b58-be20-604575c745a0', '', '/w', '/w', 'm', '')"
    )
    connection.execute(
        "INSERT INTO events VALUES (1, '01a20d4e-aca5-7b58-be20-604575c745a0', 1, '', 'item', ?)",
        (json.dumps(user_message("old")),),
    )
    connection.execute("PRAGMA user_version = 1")
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.commit()
    connection.close()
    with SessionStore.open(path) as store:
        (info,) = store.list()
        assert texts(store, info.thread_id) == ["old"]
        child = fork(store, info.thread_id, META)
        store.append(child, ITEM, user_message("new"))
        assert texts(store, child) == ["old", "new"]


def test_names(store: SessionStore) -> None:
    first, second = thread(store, "a"), thread(store, "b")
    rename(store, first, "  the big one ")
    assert store.find("the big one").thread_id == first
    with pytest.raises(SessionError, match="has the name"):
        rename(store, second, "the big one")
    rename(store, first, "")
    rename(store, second, "the big one")
    assert store.find("the big one").thread_id == second
    for wrong in ("x" * 101, "a\nb", "-x", second, second[:8], "cafe"):
        with pytest.raises(SessionError, match="cannot be a name"):
            rename(store, first, wrong)


def test_an_archived_session_is_out_of_the_list(store: SessionStore) -> None:
    first, second = thread(store, "a"), thread(store, "b")
    archive(store, second, away=True)
    assert [info.thread_id for info in store.list()] == [first]
    assert [info.thread_id for info in store.list(archived=True)] == [second]
    assert store.latest("/work") == store.info(first)
    archive(store, second, away=False)
    assert len(store.list()) == 2


def test_search_reads_what_a_person_could_read(store: SessionStore) -> None:
    call: JsonObject = {"type": "function_call", "call_id": "1", "arguments": '{"cmd":"ls Grüße"}'}
    first = thread(store, "nothing")
    store.append(first, ITEM, call)
    store.append(first, ITEM, call_output(call, "GRÜSSE and grüße"))
    thread(store, "encrypted_content")
    (hit,) = search(store, "grüße")
    assert (hit.session.thread_id, hit.seq, hit.count) == (first, 3, 2)
    assert list(search(store, "role")) == []


def test_an_export_holds_everything_and_cannot_be_broken_out_of(store: SessionStore) -> None:
    call: JsonObject = {
        "type": "function_call",
        "call_id": "1",
        "name": "exec_command",
        "arguments": '{"cmd":"ls"}',
    }
    first = thread(store, "look")
    store.append(first, ITEM, call)
    store.append(first, ITEM, call_output(call, "```\n# not a heading\n\x1b[2J````"))
    info, events = store.info(first), store.events(first)
    lines = [json.loads(line) for line in json_lines(info, events)]
    assert lines[0]["thread_id"] == first
    assert [line["payload"] for line in lines[1:]] == [event.payload for event in events]
    text = "\n".join(markdown(info, events))
    assert "`````\n```\n# not a heading\n␛[2J````\n`````" in text
    assert "### `exec_command`\n\n```\nls\n```" in text
