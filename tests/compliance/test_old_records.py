"""Logs that older versions wrote are read, checked and gone on with. They are kept as they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from compliance.codec import kind_of, to_json
from compliance.events import Approved, Decided, Refused, Reply, SessionStarted
from compliance.log import AuditLog
from compliance.plain import describe
from compliance.query import Entry, Filter, entries
from compliance.segments import snapshot, verify

V1 = Path(__file__).parent / "recorded" / "v1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(V1, tmp_path / "audit"))


def test_version_1_is_read_and_sound(old: Path) -> None:
    result = verify(snapshot(old))
    assert (result.records, result.flaws) == (9, ())
    found = [entry for entry in entries(snapshot(old), Filter()) if isinstance(entry, Entry)]
    assert [(entry.record.v, kind_of(entry.event)) for entry in found] == [
        (1, kind)
        for kind in (
            "session_started",
            "policy_loaded",
            "decided",
            "approved",
            "ran",
            "patched",
            "refused",
            "gap",
            "session_ended",
        )
    ]
    started, _, decided, approved = (entry.event for entry in found[:4])
    assert isinstance(started, SessionStarted)
    assert (started.user, started.host) == ("ann", "box")
    assert isinstance(decided, Decided)
    assert (decided.verdict.decision.word, decided.masked) == ("ask", ("subject:token",))
    assert (decided.would, decided.asked, decided.minute, decided.verdict.matches[0].controls) == (
        "",
        None,
        -1,
        (),
    )
    assert isinstance(approved, Approved)
    assert (approved.answer, approved.seconds) == (Reply.YES, 1.5)
    for entry in found:
        assert describe(entry.record.seq, entry.record.time, entry.event)
        assert to_json(entry.event)["kind"] == kind_of(entry.event)


def test_a_log_of_version_1_goes_on_as_one_chain(old: Path) -> None:
    log = AuditLog(old)
    assert log.record(Refused("s2", "c", "no")) == 10
    log.close()
    result = verify(snapshot(old))
    assert (result.records, result.flaws) == (10, ())


def test_filters_find_what_version_1_wrote(old: Path) -> None:
    found = [
        entry
        for entry in entries(snapshot(old), Filter(program="sudo", rule="git.*"))
        if isinstance(entry, Entry)
    ]
    assert [entry.record.seq for entry in found] == [3]
