"""Each report says what the record says, and no more."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compliance.chain import START, Record, read_line, seal
from compliance.cli import app
from compliance.cli_reports import ReportName
from compliance.codec import to_json
from compliance.errors import RecordError
from compliance.events import (
    Approved,
    AuditEvent,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    Outcome,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
    Situated,
)
from compliance.log import AuditLog
from compliance.reading import Log, Scenes, Seen, Spoiled, Wanted, find_logs, read
from compliance.reports import gaps
from compliance.reports.base import Cell, Report, Table
from compliance.reports.questions import QUESTIONS, Beside, question
from compliance.reports.render import Form, render, rich_text
from compliance.reports.wanted import read_wanted
from compliance.rulebook import of_sources
from compliance.segments import Snapshot
from execpolicy.bundle.load import PolicySource
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

STARTED = SessionStarted("s1", "0.1", "m", "/w", "/w", "workspace-write", "user")
A, B = "a" * 64, "b" * 64


def rule(id: str, decision: Decision, *, enforced: bool = True) -> RuleMatch:
    return RuleMatch(
        rule_id=id,
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "a.rules", 3),
        enforced=enforced,
    )


def decided(
    call: str, text: str, decision: Decision, *rules: RuleMatch, unknowns: tuple[str, ...] = ()
) -> Decided:
    part = Part(kind="command", text=text, decision=decision, matches=rules, unknowns=unknowns)
    verdict = Verdict(decision=decision, parts=(part,))
    return Decided("s1", call, "exec_command", text, "/w", verdict)


def records(events: Sequence[AuditEvent]) -> list[Record]:
    link, found = START, []
    for number, event in enumerate(events):
        line, link = seal(link, f"2026-11-24T10:00:{number:02}.000000Z", to_json(event))
        record = read_line(line)
        assert record
        found.append(record)
    return found


LOG = Log("box", Snapshot(Path(), None, ()), True)


def report(name: str, *events: AuditEvent, beside: Beside = Beside()) -> Report:
    asked, scenes = question(name, beside), Scenes()
    for record, event in zip(records(events), events, strict=True):
        asked.feed(Seen(LOG, record, event, scenes.after(event)))
    return asked.answer()


def rows(name: str, *events: AuditEvent) -> tuple[tuple[Cell, ...], ...]:
    return report(name, *events).tables[0].rows


def test_decisions_tell_rules_from_silence() -> None:
    found = rows(
        "decisions",
        STARTED,
        decided("c1", "git status", Decision.ALLOW, rule("r", Decision.ALLOW)),
        decided("c2", "git diff", Decision.ALLOW, rule("r", Decision.ALLOW)),
        decided("c3", "frob", Decision.ASK),
        decided("c4", "x", Decision.ASK, rule("audit-only", Decision.ASK, enforced=False)),
    )
    assert [row[:4] for row in found] == [
        ("exec_command", "allow", "rule", 2),
        ("exec_command", "ask", "silence", 2),
    ]


def test_approvals_join_question_and_answer() -> None:
    push = rule("git.push", Decision.ASK)
    found = report(
        "approvals",
        decided("c1", "git push", Decision.ASK, push),
        Approved("s1", "c1", Reply.YES, "ann", seconds=2.0),
        decided("c2", "git push", Decision.ASK, push),
        Approved("s1", "c2", Reply.YES, "ann", seconds=4.0),
        decided("c3", "frob", Decision.ASK),
        Approved("s1", "c3", Reply.UNATTENDED, ""),
        Approved("s1", "c9", Reply.NO, "bob", seconds=1.0),
        decided("c4", "frob", Decision.ASK),
    )
    assert found.tables[0].rows == (
        ("(no rule)", "unattended", "nobody", 1, "0.0", "0.0"),
        ("(not in the period)", "no", "bob", 1, "1.0", "1.0"),
        ("git.push", "yes", "ann", 2, "3.0", "4.0"),
    )
    assert found.notes[:2] == ("4 answers", "1 asks without an answer in the record")


def test_rules_count_once_a_verdict_and_tell_audit_mode() -> None:
    deny, allow = rule("new", Decision.DENY, enforced=False), rule("old", Decision.ALLOW)
    part = Part(kind="command", text="a", decision=Decision.ALLOW, matches=(deny, allow))
    both = Verdict(decision=Decision.ALLOW, parts=(part, part))
    found = rows("rules", Decided("s1", "c1", "exec_command", "a; a", "/w", both))
    assert [(row[0], *row[4:8]) for row in found] == [("new", 1, 0, 1, 1), ("old", 1, 1, 0, 0)]


def test_coverage_puts_what_no_rule_knows_first() -> None:
    found = report(
        "coverage",
        decided("c1", "git status", Decision.ALLOW, rule("r", Decision.ALLOW)),
        decided("c2", "frob --all", Decision.ASK),
        decided("c3", "frob $x", Decision.ASK, unknowns=("$x",)),
    )
    assert found.tables[0].rows == (
        ("command", "frob", 2, 0, 2, 1, "frob --all"),
        ("command", "git", 1, 1, 0, 0, ""),
    )
    assert found.notes[0] == "1 of 3 parts judged by an enforced rule: 33.3 %"


def test_drift_compares_within_one_workspace() -> None:
    here = PolicyLoaded("s1", (PolicyFile("a", "user", A, True), PolicyFile("p", "project", A, True)))
    other = SessionStarted("s2", "0.1", "m", "/v", "/v", "workspace-write", "user")
    there = PolicyLoaded("s2", (PolicyFile("a", "user", A, True),))
    later = PolicyLoaded("s1", (PolicyFile("a", "user", B, True), PolicyFile("p", "project", A, False)))
    changes = report(
        "drift",
        STARTED,
        here,
        decided("c1", "x", Decision.ALLOW),
        other,
        there,
        later,
        decided("c2", "x", Decision.DENY),
        decided("c3", "x", Decision.DENY),
    )
    assert [(row[0], *row[4:]) for row in changes.tables[1].rows] == [
        (6, "rules", "p (project)", A, f"{A}, broken: its allows do not count"),
        (6, "rules", "a (user)", A, B),
        (7, "verdict", "x", "allow (record 3)", "deny"),
    ]


def test_gaps_are_gaps_open_calls_and_open_sessions() -> None:
    found = rows(
        "gaps",
        STARTED,
        decided("c1", "x", Decision.ALLOW),
        Ran("s1", "c1", 0, Outcome.COMPLETED, 0.1, A, 1, "none"),
        decided("c2", "y", Decision.DENY),
        Refused("s1", "c2", "no"),
        decided("c3", "z", Decision.ALLOW),
        SessionEnded("s1", "closed"),
        Gap("", GapKind.UNWRITTEN, "disk full", count=3),
        SessionStarted("s2", "0.1", "m", "/w", "/w", "workspace-write", "user"),
    )
    assert [(*row[1:2], *row[3:7]) for row in found] == [
        (6, "no outcome", "s1", 1, "no"),
        (8, "unwritten", "", 3, "yes"),
        (9, "no end", "s2", 1, "no"),
    ]


@pytest.mark.parametrize("name", QUESTIONS)
def test_an_empty_record_claims_nothing(name: str) -> None:
    found = report(name)
    assert found.tables[0].rows == ()
    assert "nothing" in render(found, Form.TEXT)


def test_every_form_says_the_same_and_is_safe() -> None:
    evil = "=cmd()|<b>\x1b[31m"
    found = Report(
        title="T",
        tables=(Table(name="t", columns=("a", "b"), rows=((evil, 2), ("x", 10))),),
        notes=("n",),
    )
    assert render(found, Form.TEXT) == (
        "T\n\na                    b\n=cmd()|<b>\\x1b[31m   2\nx                   10\n\nn"
    )
    assert "\\|&lt;b&gt;" in render(found, Form.MARKDOWN)
    cells = list(csv.reader(io.StringIO(render(found, Form.CSV))))
    assert cells[1][0].startswith("'=cmd()")
    assert json.loads(render(found, Form.JSON))["tables"]["t"][0] == {"a": evil, "b": 2}


def test_the_command_answers_every_question(tmp_path: Path) -> None:
    assert {name.value for name in ReportName} == set(QUESTIONS)
    log = AuditLog(tmp_path)
    log.record(STARTED)
    log.record(decided("c1", "git push", Decision.ASK, rule("git.push", Decision.ASK)))
    log.close()
    for name in QUESTIONS:
        result = CliRunner().invoke(app, ["report", name, "--dir", str(tmp_path)])
        assert result.exit_code == 0, result.output
    path = tmp_path / "records-000000000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b"git push", b"git pull"))
    result = CliRunner().invoke(app, ["report", "rules", "--dir", str(tmp_path), "--format", "json"])
    assert result.exit_code == 1
    assert "not as it was sealed" in result.stderr


def at(host: str, session: str, digests: Sequence[str], user: str = "ann") -> list[AuditEvent]:
    """A session on a machine with these rule files."""
    files = tuple(PolicyFile(f"/r/{n}.rules", "user", digest, True) for n, digest in enumerate(digests))
    started = SessionStarted(session, "0.1", "m", "/w", "/w", "read-only", "user", user=user, host=host)
    return [started, PolicyLoaded(session, files), SessionEnded(session, "done")]


def machines(report: Report) -> dict[Cell, Cell]:
    table = report.tables[0]
    return {row[0]: row[table.columns.index("state")] for row in table.rows}


C = "c" * 64


@pytest.mark.parametrize(
    ("text", "states"),
    [
        pytest.param(f"{A}  a.rules\n{B}  b.rules\n", ["as wanted", "differs", "more"], id="sha256sum"),
        pytest.param(
            json.dumps({"files": [{"path": "a.rules", "sha256": A}]}),
            ["more", "as wanted", "more"],
            id="manifest",
        ),
        pytest.param(C, ["differs", "differs", "differs"], id="one-file-nobody-has-alone"),
        pytest.param(A, ["differs", "as wanted", "differs"], id="one-file"),
    ],
)
def test_drift_judges_machines_by_the_wanted_policy(tmp_path: Path, text: str, states: list[str]) -> None:
    path = tmp_path / "wanted"
    path.write_text(text)
    wanted = read_wanted(text if len(text) == 64 else str(path))
    events = [*at("one", "s1", [A, B]), *at("two", "s2", [A]), *at("three", "s3", [A, B, C])]
    found = machines(report("drift", *events, beside=Beside(wanted=wanted)))
    assert found == dict(zip(["one", "two", "three"], states, strict=True))


def test_a_policy_that_could_not_be_used_is_drift(tmp_path: Path) -> None:
    (tmp_path / "a.rules").write_text("x")
    wanted = read_wanted(str(tmp_path))
    loaded = PolicyLoaded("s1", (PolicyFile("/r/a", "user", wanted.files[0][0], False),))
    found = report("drift", at("one", "s1", [])[0], loaded, beside=Beside(wanted=wanted))
    assert machines(found) == {"one": "differs"}


@pytest.mark.parametrize("text", ["gone", "b" * 63, "g" * 64])
def test_what_is_no_policy_is_told(text: str) -> None:
    with pytest.raises(RecordError, match="no policy to compare with"):
        read_wanted(text)


def test_coverage_names_rules_that_never_fired(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_text(
        'prefix_rule(pattern = ["git"], decision = "allow", id = "r")\n'
        'prefix_rule(pattern = ["dd"], decision = "forbidden", id = "never", owner = "ops")\n'
    )
    loaded = PolicyLoaded(
        "s1", (PolicyFile(str(path), "user", hashlib.sha256(path.read_bytes()).hexdigest(), True),)
    )
    call = decided("c1", "git status", Decision.ALLOW, rule("r", Decision.ALLOW))
    found = report("coverage", STARTED, loaded, call)
    assert found.tables[1].rows == (("r", 1, "yes"),)
    assert [row[:2] for row in found.tables[2].rows] == [("never", "deny")]
    path.write_text("# another version\n")
    later = report("coverage", STARTED, loaded, call)
    assert later.tables[2].rows == ()
    assert any("no longer what was recorded" in note for note in later.notes)
    named = Beside(book=lambda _: of_sources([PolicySource(path, Layer.USER)]))
    assert report("coverage", STARTED, loaded, call, beside=named).tables[1].rows == (("r", 1, "no"),)


def seen(events: Sequence[AuditEvent], times: Sequence[str]) -> list[Seen]:
    link, found, scenes = START, [], Scenes()
    for event, time in zip(events, times, strict=True):
        line, link = seal(link, f"2026-11-24T{time}.000000Z", to_json(event))
        record = read_line(line)
        assert record
        found.append(Seen(LOG, record, event, scenes.after(event)))
    return found


def test_gaps_tell_clocks_spans_and_asks() -> None:
    ask = decided("c1", "x", Decision.ASK)
    asked = question("gaps")
    first, second, third = seen([STARTED, ask, SessionEnded("s1", "x")], ["10:00:00", "10:00:05", "09:00:00"])
    asked.feed(first)
    asked.spoil(Spoiled(LOG, "records-1", 2))
    asked.spoil(Spoiled(LOG, "records-1", 3))
    asked.feed(second)
    asked.feed(third)
    asked.spoil(Spoiled(LOG, "records-1", 6))
    rows = asked.answer().tables[0].rows
    assert [(row[3], row[5]) for row in rows] == [
        ("unverified", 2),
        ("no answer", 1),
        ("clock", 1),
        ("unverified", 1),
    ]
    assert "between 2026-11-24T10:00:00.000000Z and 2026-11-24T10:00:05.000000Z" in str(rows[0][7])
    assert all(row[6] == "no" for row in rows)


def test_open_calls_are_bounded_and_the_oldest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "MOST_KEYS", 3)
    calls = [decided(f"c{number}", "x", Decision.ALLOW) for number in range(6)]
    ended = [Ran("s1", f"c{number}", 0, Outcome.COMPLETED, 0.1, A, 1, "none") for number in (4, 5)]
    found = report("gaps", *calls, *ended).tables[0].rows
    assert [str(row[7])[:7] for row in found] == ["call c0", "call c1", "call c2", "call c3"]


def test_a_gap_that_the_record_explains_is_told_apart() -> None:
    notes = report("gaps", Gap("", GapKind.TORN, "half a line"), Gap("", GapKind.LOST, "")).notes
    assert notes[0] == "2 gaps, of these 1 without a recorded explanation"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """Two machines: one sent its folder, the other an export."""
    for host, digest in (("one", A), ("two", B)):
        log = AuditLog(tmp_path / "fleet" / host)
        for event in at(host, f"s-{host}", [digest], user=f"user-{host}"):
            log.record(event)
        session = f"s-{host}"
        match = rule(f"rule-{host}", Decision.DENY)
        part = Part(kind="command", text="x", decision=Decision.DENY, matches=(match,))
        log.record(
            Decided(session, "c", "exec_command", "x", "/w", Verdict(decision=Decision.DENY, parts=(part,)))
        )
        log.record(Refused(session, "c", "no"))
        log.close()
    exported = CliRunner().invoke(
        app, ["export", "--format", "jsonl", "--dir", str(tmp_path / "fleet" / "two")]
    )
    (tmp_path / "fleet" / "second.jsonl").write_text(exported.stdout)
    for path in (tmp_path / "fleet" / "two").iterdir():
        path.unlink()
    (tmp_path / "fleet" / "two").rmdir()
    return tmp_path / "fleet"


def test_many_machines_are_read_from_folders_and_exports(fleet: Path) -> None:
    result = run("drift", "--log", fleet, "--wanted", A, "--format", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["tables"]["machines"]
    assert [(row["host"], row["log"], row["state"]) for row in found] == [
        ("one", "one", "as wanted"),
        ("two", "second", "differs"),
    ]
    both = run("drift", "--log", fleet / "one", "--log", fleet / "second.jsonl", "--format", "json")
    assert len(json.loads(both.stdout)["tables"]["machines"]) == 2
    told = json.loads(run("gaps", "--log", fleet, "--format", "json").stdout)["tables"]["gaps"]
    assert ("second", "export") in {(row["log"], row["kind"]) for row in told}
    assert ("one", "no checkpoint") in {(row["log"], row["kind"]) for row in told}


@pytest.mark.parametrize(
    ("words", "hosts"),
    [
        ([], ["one", "two"]),
        (["--user", "user-two"], ["two"]),
        (["--host", "one"], ["one"]),
        (["--session", "s-t"], ["two"]),
        (["--rule", "*-one"], ["one"]),
        (["--from", "2100-01-01"], []),
        (["--to", "2020-01-01"], []),
        (["--since", "1h", "--until", "2100-01-01T00:00:00+05:30"], ["one", "two"]),
    ],
)
def test_reports_are_about_what_was_asked_for(fleet: Path, words: list[str], hosts: list[str]) -> None:
    result = run("decisions", "--log", fleet, "--format", "json", *words)
    assert result.exit_code == 0, result.output
    assert [row["host"] for row in json.loads(result.stdout)["tables"]["by user"]] == hosts


def test_several_tables_are_one_csv(fleet: Path) -> None:
    result = run("decisions", "--log", fleet, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["table"] for row in rows] == ["by tool", "by day", "by user", "by user"]
    assert {row["user"] for row in rows} == {"", "user-one", "user-two"}


def test_a_newer_kind_of_event_is_named_and_left_out(fleet: Path) -> None:
    path = fleet / "one" / "records-000000000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    last = read_line(lines[-1])
    assert last
    line, _ = seal(last.link, "2026-11-24T10:00:00.000000Z", {"kind": "teleported", "session": "s"})
    path.write_bytes(b"".join([*lines, line]))
    result = run("decisions", "--log", fleet / "one")
    assert result.exit_code == 1
    assert "error: records-000000000001.jsonl:6" in result.stderr
    assert "by tool" in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["drift", "--wanted", "nothing"], "no policy to compare with"),
        (["coverage", "--profile", "nobody's"], "no profile"),
        (["coverage", "--rules", "gone"], "no rule file"),
        (["gaps", "--from", "soon"], "is no time"),
    ],
)
def test_wrong_words_are_told(fleet: Path, words: list[str], told: str) -> None:
    result = run(*words, "--log", fleet)
    assert result.exit_code != 0
    assert told in result.output + str(result.exception)


def test_rich_text_breaks_cells_and_hides_nothing() -> None:
    from rich.console import Console

    found = Report(
        title="T",
        tables=(Table(name="t", columns=("a", "b"), rows=(("[bold]x[/] \x1b[31m" + "y" * 90, 2),)),),
        notes=("n",),
    )
    console = Console(width=40, file=io.StringIO(), highlight=False, markup=False)
    for one in rich_text(found):
        console.print(one)
    out = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[bold]x[/]" in out
    assert "\x1b" not in out
    assert out.count("y") >= 90


@pytest.mark.parametrize("name", QUESTIONS)
def test_events_that_a_question_does_not_look_at_change_no_answer(tmp_path: Path, name: str) -> None:
    """Texts and names that look like kinds of events stand in the log, too."""
    log = AuditLog(tmp_path / "audit")
    for session, digest in (("s1", A), ("s2", B)):
        for event in at("one", session, [digest]):
            log.record(event)
        facts = (("kind", ("policy_loaded",)), ("user", '"kind":"gap"'))
        log.record(Situated(session, "d", "/w", "/h", ("/w",), (), "read-only", facts))
        decision = Decision.ASK if session == "s1" else Decision.DENY
        part = Part(kind="command", text="x", decision=decision, matches=(rule("r", decision),))
        log.record(
            Decided(session, "c", "shell", '"kind":"ran"', "/w", Verdict(decision=decision, parts=(part,)))
        )
        log.record(Approved(session, "c", Reply.NO, "ann", '"kind":"decided"', 1.0))
        log.record(Refused(session, "c", '"kind":"approved"'))
        log.record(Ran(session, "d", 0, Outcome.COMPLETED, 1.0, "0" * 64, 3, "none"))
    log.close()
    logs = find_logs([tmp_path / "audit"])
    every, some = question(name), question(name)
    whole = [one for one in read(logs, Wanted()) if isinstance(one, Seen)]
    part_of = [one for one in read(logs, Wanted(kinds=some.kinds)) if isinstance(one, Seen)]
    for one in whole:
        every.feed(one)
    for one in part_of:
        some.feed(one)
    assert some.answer() == every.answer()
    assert (len(part_of) < len(whole)) == bool(some.kinds)


@pytest.mark.parametrize("kinds", [(), ("decided",), ("gap",)])
def test_a_line_that_was_changed_is_told_whatever_its_kind(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    log = AuditLog(tmp_path / "audit")
    log.record(Ran("s", "c1", 0, Outcome.COMPLETED, 1.0, "0" * 64, 3, "none"))
    log.close()
    (path,) = (tmp_path / "audit").glob("records-*")
    path.write_bytes(path.read_bytes().replace(b'"exit_code":0', b'"exit_code":1'))
    (told,) = read(find_logs([tmp_path / "audit"]), Wanted(kinds=kinds))
    assert isinstance(told, Spoiled)


def test_rules_about_hosts_are_counted_once_a_connection(tmp_path: Path) -> None:
    def link(decision: str, outcome: LinkEnd, count: int = 1) -> Connected:
        told = ("s", "c", "x.org", 443, "https", "", decision, (f"hosts.{decision}",), outcome, "")
        return Connected(*told, 0, 0, 0.0, count=count)

    events = [link("allow", LinkEnd.OPENED), link("allow", LinkEnd.CLOSED), link("deny", LinkEnd.REFUSED, 3)]
    assert [row[:6] for row in rows("rules", *events)] == [
        ("hosts.deny", "deny", "", "(about a host)", 3, 3),
        ("hosts.allow", "allow", "", "(about a host)", 1, 1),
    ]
    path = tmp_path / "n.rules"
    path.write_text(
        'network_rule(host = "x.org", decision = "allow", id = "hosts.allow")\n'
        'network_rule(host = "y.org", decision = "allow", id = "hosts.never")\n'
    )
    beside = Beside(book=lambda recorded: of_sources([PolicySource(path, Layer.USER)]))
    told = {table.name: table.rows for table in report("coverage", *events, beside=beside).tables}
    assert [row[0] for row in told["rules that never fired"]] == ["hosts.never"]
