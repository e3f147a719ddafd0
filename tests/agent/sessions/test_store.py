"""Sessions: what was acknowledged is there, what was written stays, what cannot be used is said."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.errors import SessionError
from agent.protocol.items import JsonObject, user_message
from agent.sessions.store import ITEM, TURN, SessionMeta, SessionStore, StoredEvent, new_thread_id, set_aside

META = SessionMeta(cwd="/w", workspace="/w", model="m")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def opened(tmp_path: Path) -> SessionStore:
    return SessionStore.open(tmp_path / "sessions.db", Clock())


def test_what_is_appended_comes_back_in_order_after_a_new_start(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        thread = store.create(META)
        assert store.append(thread, ITEM, user_message("one")) == 1
        assert store.append_all(thread, [(TURN, {"state": "started"}), (ITEM, user_message("two"))]) == 3
    with SessionStore.open(tmp_path / "sessions.db") as store:
        assert store.items(thread) == (user_message("one"), user_message("two"))
        assert store.events(thread)[1] == StoredEvent(
            2, "2027-01-15T08:00:03.000Z", TURN, {"state": "started"}
        )


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({"text": "\x00\x1b[2J\ud800 \U0001f600"}, id="control-characters-and-lone-surrogates"),
        pytest.param({"text": "x" * 2_000_000}, id="two-megabytes"),
        pytest.param({"n": [1, 2.5, None, True, {"deep": []}]}, id="every-kind-of-json"),
    ],
)
def test_any_payload_comes_back_as_it_was(tmp_path: Path, payload: JsonObject) -> None:
    with opened(tmp_path) as store:
        thread = store.create(META)
        store.append(thread, ITEM, payload)
        assert store.items(thread) == (payload,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events (id, thread_id, seq, at, kind, payload) "
        "SELECT id, thread_id, seq, at, kind, '{}' FROM events",
        "INSERT OR REPLACE INTO events (thread_id, seq, at, kind, payload) "
        "SELECT thread_id, seq, at, kind, '{}' FROM events",
        "DELETE FROM threads",
    ],
)
def test_another_program_cannot_rewrite_history(tmp_path: Path, statement: str) -> None:
    with opened(tmp_path) as store:
        thread = store.create(META)
        store.append(thread, ITEM, user_message("kept"))
    other = sqlite3.connect(tmp_path / "sessions.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.close()
    with opened(tmp_path) as store:
        assert store.items(thread) == (user_message("kept"),)


def test_the_list_has_the_last_used_first_and_the_first_prompt_as_title(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        old = store.create(META)
        new = store.create(SessionMeta(cwd="/other", workspace="/other", model="m"))
        store.append(new, TURN, {"prompt": "second thread"})
        store.append(old, TURN, {"state": "x"})
        store.append(old, TURN, {"prompt": "first\nprompt"})
        store.append(old, TURN, {"prompt": "later prompt"})
        assert [(info.thread_id, info.title, info.events) for info in store.list()] == [
            (old, "first\nprompt", 3),
            (new, "second thread", 1),
        ]
        assert [info.thread_id for info in store.list("/other")] == [new]
        latest = store.latest("/w")
        assert latest is not None
        assert latest.thread_id == old
        assert store.latest("/nowhere") is None


def test_a_session_is_found_by_a_start_that_is_unique(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        thread = store.create(META)
        assert store.find(thread).thread_id == thread
        assert store.find(thread[:8].upper()).thread_id == thread
        for wrong in ("", "zzz", "ffffffff", "%", thread[:3], "' OR 1=1"):
            with pytest.raises(SessionError, match="no session"):
                store.find(wrong)
        other = thread[:-1] + ("1" if thread.endswith("0") else "0")
        store.create(SessionMeta(cwd="/", workspace="/", model="m", thread_id=other))
        with pytest.raises(SessionError, match="more than one session"):
            store.find(thread[:8])


def test_an_unknown_thread_takes_no_event(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        for attempt in (lambda: store.append("x", ITEM, {}), lambda: store.events("x")):
            with pytest.raises(SessionError, match="no session `x`") as caught:
                attempt()
            assert "sessions list" in caught.value.help


def test_ids_are_uuids_of_version_seven_in_order_of_time() -> None:
    ids = [new_thread_id(1_800_000_000 + n / 100) for n in range(50)]
    assert ids == sorted(ids)
    assert all(one[14] == "7" and one[19] in "89ab" and len(one) == 36 for one in ids)


def test_one_writer_and_a_clear_word_to_the_second(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        thread = store.create(META)
        with store.lock(thread):
            code = (
                "import sys; from pathlib import Path; from agent.errors import SessionError;"
                "from agent.sessions.store import SessionStore\n"
                "store = SessionStore.open(Path(sys.argv[1]))\n"
                "try:\n    with store.lock(sys.argv[2]): print('got it')\n"
                "except SessionError as error: print(error)\n"
            )
            argv = [sys.executable, "-c", code, str(store.path), thread]
            second = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
            assert f"session `{thread}` is open in another process (process " in second
        third = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        assert third == "got it\n"
        with pytest.raises(SessionError, match="is not a session id"):
            store.lock("../../etc/passwd")


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()


def _newer(path: Path) -> None:
    SessionStore.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def _torn(path: Path) -> None:
    with SessionStore.open(path) as store:
        thread = store.create(META)
        store.append(thread, ITEM, {"text": "x" * 100_000})
    data = bytearray(path.read_bytes())
    data[100:8192] = b"\xff" * 8092
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(lambda path: path.write_bytes(b"not a database" * 99), "not a database", id="noise"),
        pytest.param(_foreign, "belongs to another program", id="foreign"),
        pytest.param(_newer, "has form 99", id="newer"),
        pytest.param(_torn, "malformed", id="torn"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_and_kept(tmp_path: Path, spoil: object, says: str) -> None:
    path = tmp_path / "sessions.db"
    assert callable(spoil)
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(SessionError) as caught, SessionStore.open(path) as store:
        store.list()
    assert says in str(caught.value)
    assert "set-aside" in caught.value.help
    assert path.read_bytes() == before
    kept = set_aside(path)
    assert kept.read_bytes() == before
    with SessionStore.open(path) as store:
        assert store.list() == ()


def test_the_database_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.create(META)
        modes = {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir() if one.is_file()}
        assert set(modes.values()) == {0o600}, modes


def test_a_folder_that_takes_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="cannot open") as caught:
        SessionStore.open(tmp_path / "file" / "sessions.db")
    assert "AGENT_HOME" in caught.value.help


WRITER = """
import sys
from pathlib import Path
from agent.sessions.store import SessionMeta, SessionStore
store = SessionStore.open(Path(sys.argv[1]))
thread = store.create(SessionMeta(cwd="/", workspace="/", model="m"))
print(thread, flush=True)
n = 0
while True:
    n += 1
    store.append(thread, "item", {"n": n, "text": "x" * (n % 3000)})
    print(n, flush=True)
"""


def test_kill_nine_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    chance = random.Random(20261124)
    seen: dict[str, int] = {}
    for _ in range(30):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert child.stdout is not None
        thread = child.stdout.readline().strip()
        child.stdout.readline()
        time.sleep(chance.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read()
        child.wait()
        child.stdout.close()
        whole = rest[: rest.rfind("\n") + 1].split()
        seen[thread] = int(whole[-1]) if whole else 1
        if len(seen) % 10 == 0:
            with SessionStore.open(path) as store:
                assert store.check() == "ok"
    with SessionStore.open(path) as store:
        assert store.check() == "ok"
        for thread, acknowledged in seen.items():
            numbers = [item["n"] for item in store.items(thread)]
            assert numbers == list(range(1, len(numbers) + 1))
            assert acknowledged <= len(numbers) <= acknowledged + 1
            # The session goes on where it ended.
            assert store.append(thread, ITEM, {"n": 0}) == len(numbers) + 1
    assert sum(seen.values()) > 100, "the children were killed before they could write"


def test_a_folder_of_odd_bytes_is_kept_and_found(tmp_path: Path) -> None:
    odd = "/work/caf\udce9"
    with opened(tmp_path) as store:
        thread = store.create(SessionMeta(cwd=odd, workspace=odd, model="m\udcff"))
        assert [info.thread_id for info in store.list(odd)] == [thread]
        with pytest.raises(SessionError, match="no session"):
            store.find("\udcff")


@pytest.mark.parametrize("payload", ["[]", "7", "{", "[" * 100_000, b"\xff"])
def test_an_event_that_is_none_is_said(tmp_path: Path, payload: str | bytes) -> None:
    with opened(tmp_path) as store:
        thread = store.create(META)
        connection = sqlite3.connect(store.path)
        connection.execute(
            "INSERT INTO events (thread_id, seq, at, kind, payload) VALUES (?, 1, '', 'item', ?)",
            (thread, payload),
        )
        connection.commit()
        connection.close()
        with pytest.raises(SessionError) as caught:
            store.events(thread)
    assert "set-aside" in caught.value.help
