"""A session has what it signs cosigned; a witness that does not is told, recorded, and not waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compliance.checkpoint import advance, own_verifier
from compliance.cosign import Cosigner, read_witness
from compliance.events import Refused, SessionEnded, Witnessed
from compliance.log import AuditLog
from compliance.query import Entry, Filter, entries
from compliance.segments import snapshot, verify
from compliance.signing import WITNESS_SECONDS, Checkpointer, NamedWitness
from compliance.sink import FanOut
from compliance.witness.client import COSIGNED_NAME, cosigned

pytest.importorskip("cryptography")

from compliance.note import device_key
from compliance.witness.memory import Memory
from compliance.witness.serve import server


def session(folder: Path, witness: NamedWitness, count: int = 5) -> Checkpointer:
    record = AuditLog(folder)
    signing = Checkpointer(folder, witness=witness)
    sink = FanOut(lambda event: event, record, signing)
    for number in range(count):
        sink.record(Refused("s", f"c{number}", "no"))
    sink.record(SessionEnded("s", "done"))
    sink.close()
    return signing


def told(folder: Path) -> list[Witnessed]:
    found = (
        one.event for one in entries(snapshot(folder), Filter(kind="witnessed")) if isinstance(one, Entry)
    )
    return [event for event in found if isinstance(event, Witnessed)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, NamedWitness]]:
    folder = tmp_path / "audit"
    AuditLog(folder).record(Refused("s", "first", "no"))
    advance(folder)
    trusted = own_verifier(folder)
    assert trusted
    cosigner = Cosigner("there", device_key(tmp_path / "witness.key"))
    memory = Memory(tmp_path / "db", cosigner, lambda: int(time.time()))
    memory.trust([trusted])
    serving = server(memory, "127.0.0.1", 0)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield folder, NamedWitness(f"http://127.0.0.1:{serving.server_address[1]}", str(cosigner.witness))
    serving.shutdown()
    serving.server_close()


def test_what_a_session_signs_is_cosigned_and_kept(running: tuple[Path, NamedWitness]) -> None:
    folder, witness = running
    for wanted in (7, 14):  # each session: what it records, and the word of the witness on the one before
        signing = session(folder, witness)
        assert (signing.trouble, signing.unwitnessed) == ("", "")
        assert told(folder)[-1] == Witnessed("s", "there", wanted, True)
        kept = cosigned((folder / COSIGNED_NAME).read_text(), read_witness(witness.key))
        assert kept.checkpoint.size == wanted
    assert verify(snapshot(folder)).intact


def test_a_witness_that_is_not_there_is_told_and_recorded(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    key = str(Cosigner("gone", device_key(tmp_path / "key")).witness)
    signing = session(tmp_path / "audit", NamedWitness(url, key))
    assert signing.trouble == ""
    assert signing.unwitnessed.startswith("gone: the witness at")
    (event,) = told(tmp_path / "audit")
    assert (event.cosigned, event.size) == (False, 6)
    assert "does not answer" in event.why
    assert verify(snapshot(tmp_path / "audit")).intact


@pytest.mark.parametrize(
    "witness", [NamedWitness("ftp://x", "k"), NamedWitness("http://127.0.0.1:1", "no key")]
)
def test_a_witness_that_is_no_such_thing_is_told(tmp_path: Path, witness: NamedWitness) -> None:
    assert session(tmp_path / "audit", witness).unwitnessed
    assert not told(tmp_path / "audit")[0].cosigned


def test_a_witness_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    dripping = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def drip() -> None:
        peer, _ = dripping.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
            while not ended.wait(0.1):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    key = str(Cosigner("slow", device_key(tmp_path / "key")).witness)
    url = f"http://127.0.0.1:{dripping.getsockname()[1]}"
    signing = session(tmp_path / "audit", NamedWitness(url, key))
    ended.set()
    thread.join()
    dripping.close()
    assert WITNESS_SECONDS <= 2
    assert "takes too long" in signing.unwitnessed
    assert not told(tmp_path / "audit")[0].cosigned
