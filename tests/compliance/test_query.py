"""A filter finds exactly the records that it names, in a stream, and says what it could not read."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from compliance.events import (
    AuditEvent,
    Connected,
    Decided,
    LinkEnd,
    Outcome,
    Patched,
    Refused,
    SessionStarted,
)
from compliance.log import AuditLog
from compliance.query import Entry, Filter, Place, Unreadable, entries, follow, last
from compliance.segments import snapshot
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict


def decided(
    call: str, text: str, decision: Decision, rule: str = "", via: tuple[str, ...] = (), kind: str = "command"
) -> Decided:
    origin = Origin(Layer.USER, "a.rules", 1)
    matches = (
        (RuleMatch(rule_id=rule, decision=decision, certainty=Certainty.YES, origin=origin),) if rule else ()
    )
    part = Part(kind=kind, text=text, decision=decision, matches=matches, via=via)
    return Decided("alpha-1", call, "exec_command", text, "/w", Verdict(decision=decision, parts=(part,)))


EVENTS: list[AuditEvent] = [
    SessionStarted("alpha-1", "1", "m", "/w", "/w", "workspace-write", "user"),
    decided("c1", "git status", Decision.ALLOW, "git.read"),
    decided("c2", "/usr/bin/git push", Decision.ASK, "git.push", via=("sudo",)),
    decided("c3", "'rm' -rf x", Decision.DENY, "base.rm"),
    Refused("alpha-1", "c3", "git push is not what this is about"),
    decided("c4", "/w/src/a.py", Decision.ASK, kind="write"),
    Patched("beta-2", "c5", ("/w/src/b.py", "/w/docs/x.md"), Outcome.COMPLETED),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    times = iter(f"2026-11-{day:02}T12:00:00.000000Z" for day in range(1, 30))
    log = AuditLog(tmp_path, clock=lambda: next(times), segment_bytes=1500)
    for event in EVENTS:
        log.record(event)
    log.close()
    return tmp_path


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        pytest.param(Filter(), [1, 2, 3, 4, 5, 6, 7], id="all"),
        pytest.param(Filter(session="alpha"), [1, 2, 3, 4, 5, 6], id="session"),
        pytest.param(Filter(session="lpha"), [], id="session-starts"),
        pytest.param(Filter(call="c3"), [4, 5], id="call"),
        pytest.param(Filter(decision=Decision.ASK), [3, 6], id="decision"),
        pytest.param(Filter(rule="git.push"), [3], id="rule"),
        pytest.param(Filter(rule="git.*"), [2, 3], id="rule-glob"),
        pytest.param(Filter(rule="git"), [], id="rule-whole"),
        pytest.param(Filter(program="git"), [2, 3], id="program-by-name"),
        pytest.param(Filter(program="/usr/bin/git"), [3], id="program-by-path"),
        pytest.param(Filter(program="rm"), [4], id="program-quoted"),
        pytest.param(Filter(program="sudo"), [3], id="carrier"),
        pytest.param(Filter(path="/w/src"), [6, 7], id="folder"),
        pytest.param(Filter(path="a.py"), [6], id="file-name"),
        pytest.param(Filter(path="*/docs/*.md"), [7], id="path-glob"),
        pytest.param(Filter(path="/w/sr"), [], id="path-whole"),
        pytest.param(Filter(since="2026-11-03", until="2026-11-05T13"), [3, 4, 5], id="time"),
        pytest.param(
            Filter(session="alpha-1", decision=Decision.DENY, program="git"), [], id="all-must-hold"
        ),
    ],
)
def test_a_filter_finds_what_it_names(folder: Path, wanted: Filter, seqs: list[int]) -> None:
    found = list(entries(snapshot(folder), wanted))
    assert [entry.record.seq for entry in found if isinstance(entry, Entry)] == seqs
    assert [entry.event for entry in found if isinstance(entry, Entry)] == [EVENTS[seq - 1] for seq in seqs]


def test_the_last_ones_that_fit(folder: Path) -> None:
    found = list(last(entries(snapshot(folder), Filter(rule="*")), 2))
    assert [entry.record.seq for entry in found if isinstance(entry, Entry)] == [3, 4]


def test_an_edited_line_is_told_not_shown(folder: Path) -> None:
    path = next(path for path in folder.glob("records-*") if b"base.rm" in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"base.rm", b"base.xm"))
    found = list(entries(snapshot(folder), Filter(decision=Decision.DENY)))
    assert [type(entry) for entry in found] == [Unreadable]


def test_the_line_of_a_bad_record_is_counted_over_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compliance.segments.BLOCK", 700)
    log = AuditLog(tmp_path)
    for number in range(30):
        log.record(Refused("s", f"c{number}", "x" * (number * 37)))
    log.close()
    (path,) = tmp_path.glob("records-*")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[20] = lines[20].replace(b"xx", b"xy")
    lines[3] = b"a\rb\n"
    path.write_bytes(b"".join(lines))
    found = list(entries(snapshot(tmp_path), Filter()))
    assert [entry.number for entry in found if isinstance(entry, Unreadable)] == [4, 21]
    assert [entry.record.seq for entry in found if isinstance(entry, Entry)] == [
        number for number in range(1, 31) if number not in (4, 21)
    ]


def test_what_is_still_to_come_is_followed(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, segment_bytes=900)
    log.record(EVENTS[4])
    place = Place()
    assert len(list(entries(snapshot(tmp_path), Filter(), place))) == 1
    rounds = iter(range(1, 5))

    def somebody_writes() -> None:
        for _ in range(next(rounds)):
            log.record(EVENTS[4])

    found = follow(tmp_path, Filter(), somebody_writes, place)
    seqs = [entry.record.seq for entry in itertools.islice(found, 9) if isinstance(entry, Entry)]
    assert seqs == list(range(2, 11))
    log.close()


def test_by_user_machine_host_and_kind(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    for user, machine in (("ann", "box-1"), ("bo", "box-2")):
        log.record(SessionStarted(f"s-{user}", "1", "m", "/", "/", "read-only", "user", user, machine))
        log.record(Refused(f"s-{user}", "c", "no"))
        for host in ("api.example.com", "example.com"):
            log.record(
                Connected(
                    f"s-{user}", "c", host, 443, "https", "", "deny", (), LinkEnd.REFUSED, "no", 0, 0, 0.0
                )
            )
    log.close()

    def seqs(wanted: Filter) -> list[int]:
        return [one.record.seq for one in entries(snapshot(tmp_path), wanted) if isinstance(one, Entry)]

    assert seqs(Filter(user="bo")) == [5, 6, 7, 8]
    assert seqs(Filter(machine="box-*", kind="refused")) == [2, 6]
    assert seqs(Filter(user="ann", host="*.example.com")) == [3]
    assert seqs(Filter(host="example.com")) == [4, 8]
    assert seqs(Filter(kind="session_started", since="2000", until="2100")) == [1, 5]
    assert seqs(Filter(user="nobody")) == []


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(call="c17"),
        Filter(decision=Decision.DENY),
        Filter(program="ls"),
        Filter(since="2000"),
        Filter(since="2100"),
        Filter(session="s"),
    ],
)
def test_several_processes_find_what_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Filter
) -> None:
    log = AuditLog(tmp_path, segment_bytes=6000)
    for number in range(60):
        log.record(decided(f"c{number}", f"ls {number}", Decision(number % 3)))
    log.close()
    first = min(tmp_path.glob("records-*"))
    first.write_bytes(first.read_bytes().replace(b"ls 3", b"ls 4", 1))
    alone = list(entries(snapshot(tmp_path), wanted))
    monkeypatch.setattr("compliance.query.many_are_better", lambda size: True)
    place = Place()
    together = list(entries(snapshot(tmp_path), wanted, place))
    assert together == alone
    log = AuditLog(tmp_path, segment_bytes=6000)
    log.record(Refused("s", "later", "no"))
    log.close()
    later = list(entries(snapshot(tmp_path), Filter(call="later"), place))
    assert [one.event for one in later if isinstance(one, Entry)] == [Refused("s", "later", "no")]
