"""Exports say what the record says, in the words of the other system, checked against its schema where there is one."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from compliance.chain import START, read_line, seal
from compliance.codec import to_json
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    GapKind,
    Outcome,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
)
from compliance.export import COLUMNS, Format, export
from compliance.query import Entry, Filter
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

STARTED = SessionStarted(
    "s1", "0.1", "model-x", "/w", "/w", "workspace-write", "user", user="ann", host="box"
)


def decided(decision: Decision, text: str = "/usr/bin/git push") -> Decided:
    rule = RuleMatch(
        rule_id="git.push",
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "a.rules", 3),
        justification="others see it",
    )
    part = Part(kind="command", text=text, decision=decision, matches=(rule,))
    return Decided("s1", "c1", "exec_command", text, "/w", Verdict(decision=decision, parts=(part,)))


EVENTS: list[AuditEvent] = [
    STARTED,
    PolicyLoaded("s1", (PolicyFile("a.rules", "user", "d1", True),), ("b.rules:1: bad",)),
    decided(Decision.ALLOW),
    decided(Decision.ASK),
    decided(Decision.DENY, '=cmd|"x=1"\nnext, line \\'),
    Decided("s1", "c2", "apply_patch", "*** Begin Patch", "/w", Verdict(decision=Decision.ALLOW)),
    Approved("s1", "c1", Reply.YES, "ann", "", 1.5),
    Approved("s1", "c1", Reply.NO, "ann", "not now", 1.5),
    Ran("s1", "c1", 3, Outcome.FAILED, 0.25, "0" * 64, 12, "bubblewrap"),
    Ran("s1", "c1", None, Outcome.TIMED_OUT, 9.0, "", 0, "none"),
    Patched("s1", "c2", ("/w/a.py", "/w/b.py"), Outcome.COMPLETED),
    Refused("s1", "c3", "denied"),
    Gap("", GapKind.TORN, "half a line"),
    SessionEnded("s1", "done"),
]


def entries() -> list[Entry]:
    found, link = [], START
    for event in EVENTS:
        line, link = seal(link, "2026-11-24T10:00:00.250000Z", to_json(event))
        record = read_line(line)
        assert record
        found.append(Entry(record, event, line[:-1]))
    return found


ENTRIES = entries()


def lines(format: Format, wanted: Filter = Filter()) -> list[str]:
    return [line for line in export(ENTRIES, format, wanted) if isinstance(line, str)]


def test_json_lines_are_the_records() -> None:
    assert [line.encode() for line in lines(Format.JSONL)] == [entry.line for entry in ENTRIES]


def test_csv_has_a_row_for_each_record_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO("\n".join(lines(Format.CSV)), newline="")))
    assert [row["seq"] for row in rows] == [str(number) for number in range(1, len(EVENTS) + 1)]
    assert tuple(rows[0]) == COLUMNS
    denied = rows[4]
    assert denied["subject"] == '\'=cmd|"x=1"\nnext, line \\'
    assert (denied["decision"], denied["rules"], denied["user"], denied["host"]) == (
        "deny",
        "git.push",
        "ann",
        "box",
    )
    assert rows[12]["user"] == ""


def test_a_filter_keeps_who_and_where() -> None:
    only = lines(Format.CSV, Filter(decision=Decision.DENY))
    (row,) = csv.DictReader(io.StringIO("\n".join(only), newline=""))
    assert (row["seq"], row["user"]) == ("5", "ann")


HEADER = re.compile(r"CEF:0((?:\|(?:[^|\\\n]|\\[\\|])*){6})\|(.*)")
PAIR = re.compile(r"(\w+)=((?:[^=\\\n]|\\[\\=nr])*)(?= \w+=|$)")


def test_cef_is_one_line_each_and_reads_back() -> None:
    found = lines(Format.CEF)
    assert len(found) == len(EVENTS)
    for line in found:
        assert HEADER.fullmatch(line), line
    head, extension = HEADER.fullmatch(found[4]).groups()  # type: ignore[union-attr]
    assert head == "|policy-agent|agent|0.1|decided:deny|decided deny|6"
    pairs = dict(PAIR.findall(extension))
    assert pairs["msg"] == '\\=cmd|"x\\=1"\\nnext, line \\\\'
    assert (pairs["rt"], pairs["act"], pairs["suser"], pairs["cs3"]) == (
        "1795514400250",
        "deny",
        "ann",
        "git.push",
    )


def ocsf() -> list[dict[str, object]]:
    return [json.loads(line) for line in lines(Format.OCSF)]


def test_ocsf_events_fit_the_schema() -> None:
    models = pytest.importorskip("ocsf_emitter._models")
    validate = pytest.importorskip("ocsf_emitter").validate
    classes = {
        1007: models.ProcessActivity,
        1001: models.FileActivity,
        6002: models.ApplicationLifecycle,
    }
    for event in ocsf():
        model = classes[event["class_uid"]]  # type: ignore[index]
        validate(model.model_validate(event))
        profile = {"action_id", "action", "disposition_id", "disposition", "policy"}
        assert set(event) - set(model.model_fields) <= profile


def test_ocsf_says_what_the_control_did() -> None:
    told = [
        (event["class_uid"], event["activity_id"], event.get("action_id"), event.get("disposition_id"))
        for event in ocsf()
    ]
    assert told == [
        (6002, 3, None, None),
        (6002, 99, None, None),
        (1007, 1, 1, 1),
        (1007, 1, 0, 14),
        (1007, 1, 2, 2),
        (1007, 1, 1, 1),
        (1007, 99, 1, 8),
        (1007, 99, 2, 25),
        (1007, 2, 1, 1),
        (1007, 2, 1, 1),
        (1001, 3, None, None),
        (1001, 3, None, None),
        (1007, 1, 2, 2),
        (6002, 99, None, None),
        (6002, 4, None, None),
    ]


# The values that ECS allows for its categorisation fields.
ECS_KINDS = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
ECS_CATEGORIES = {"configuration", "file", "process", "session"}
ECS_TYPES = {"allowed", "change", "denied", "end", "error", "info", "start"}


def test_ecs_documents_are_categorised() -> None:
    documents = [json.loads(line) for line in lines(Format.ECS)]
    assert len(documents) == len(EVENTS)
    for document in documents:
        event = document["event"]
        assert event["kind"] in ECS_KINDS
        assert set(event["category"]) <= ECS_CATEGORIES
        assert set(event["type"]) <= ECS_TYPES
        assert event.get("outcome", "unknown") in {"success", "failure", "unknown"}
        assert all(isinstance(value, str) for value in document["labels"].values())
    denied = documents[4]
    assert denied["event"]["type"] == ["denied"]
    assert denied["rule"] == {
        "id": "git.push",
        "name": "git.push",
        "ruleset": "a.rules",
        "description": "others see it",
    }
    assert documents[2]["process"] == {
        "command_line": "/usr/bin/git push",
        "working_directory": "/w",
        "name": "git",
    }
