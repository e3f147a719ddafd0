"""Each report says what the record says, and no more."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from compliance.chain import START, Record, read_line, seal
from compliance.cli import app
from compliance.cli_reports import ReportName
from compliance.codec import to_json
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    GapKind,
    Outcome,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
)
from compliance.log import AuditLog
from compliance.reports.base import Cell, Report, Table
from compliance.reading import Log, Scenes, Seen
from compliance.reports.questions import QUESTIONS, Beside, question
from compliance.reports.render import Form, render
from compliance.segments import Snapshot
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
