"""Exports say what the record says, in the words of the other system, checked against its schema where there is one."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from compliance.chain import START, read_line, seal
from compliance.cli import app
from compliance.codec import to_json
from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    BundleStep,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    Outcome,
    Overridden,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.export import COLUMNS, Format, Whose, export
from compliance.log import AuditLog
from compliance.ocsf import VERSION
from compliance.query import Entry, Filter
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

STARTED = SessionStarted(
    "s1", "0.1", "model-x", "/w", "/w", "workspace-write", "user", user="ann", host="box", provider="house"
)


def decided(decision: Decision, text: str = "/usr/bin/git push") -> Decided:
    rule = RuleMatch(
        rule_id="git.push",
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "a.rules", 3),
        justification="others see it",
        controls=("SOC2:CC6.1",),
    )
    part = Part(kind="command", text=text, decision=decision, matches=(rule,))
    return Decided("s1", "c1", "exec_command", text, "/w", Verdict(decision=decision, parts=(part,)))


def connected(end: LinkEnd) -> Connected:
    """Allowed by a person: the reason of a good connection is no failure."""
    told = ("x.org", 443, "https", "192.0.2.7", "allow", ())
    return Connected("s1", "c1", *told, end, "ann said yes", 10, 20, 0.5)


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
    Situated("s1", "d2", "/w", "/home/ann", ("/w",), ("/w/.git",), "read-only", (("user", "ann"),)),
    Overridden("s1", "c1", "git.push", "2027-01-31", "ben", "T-1", "a.rules:9:1"),
    ToolCalled("s1", "c4", "search", "docs", Outcome.COMPLETED, 0.5, "0" * 64, 7),
    ToolCalled("s9", "c4", "plan", "", Outcome.FAILED, 0.5, "0" * 64, 7),
    Connected("s1", "c1", "x.org", 443, "https", "", "deny", ("r",), LinkEnd.REFUSED, "no", 0, 0, 0.0),
    *(connected(end) for end in (LinkEnd.OPENED, LinkEnd.CLOSED, LinkEnd.FAILED, LinkEnd.CUT)),
    SandboxDenied("s1", "c1", "bubblewrap", "read-only", "Read-only file system", "/etc/x"),
    BundleChanged("", "base", "1.2", "d3", BundleStep.ROLLED_BACK, "ring-1", "too many asks", "ann"),
    Witnessed("", "w.example/1", 40, False, "it knows a longer log"),
    Revoked("s1", "approved.1", "user", "/home/ann/.agent/rules/approvals.rules", "ann", "prefix_rule(...)"),
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


def test_exports_are_of_whose_sessions_they_ought_to_be() -> None:
    def numbers(whose: Whose) -> list[str]:
        found = [str(line) for line in export(ENTRIES, Format.CSV, Filter(), whose)]
        return [row["seq"] for row in csv.DictReader(io.StringIO("\n".join(found), newline=""))]

    everybody = [str(entry.record.seq) for entry in ENTRIES]
    others = {str(entry.record.seq) for entry in ENTRIES if entry.event.session == "s9"}
    nobody = [str(entry.record.seq) for entry in ENTRIES if not entry.event.session]
    assert numbers(Whose()) == everybody
    assert numbers(Whose("ann", "box")) == [seq for seq in everybody if seq not in others]
    assert numbers(Whose(user="bob")) == nobody
    assert numbers(Whose(host="other")) == nobody


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


def ocsf() -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(Format.OCSF)]


def test_every_kind_of_event_is_here() -> None:
    assert {type(event) for event in EVENTS} == set(AuditEvent.__args__)


def test_ocsf_events_fit_the_published_schema() -> None:
    """Strictly: no attribute that the class or its profiles do not have, at any depth."""
    published = pytest.importorskip("ocsf_json_schema", reason="install the `dev` extra")
    jsonschema = pytest.importorskip("jsonschema")
    schema = published.OcsfJsonSchemaEmbedded(published.get_ocsf_schema(version=VERSION))
    validators = {}
    for event in ocsf():
        profiles = tuple(event["metadata"].get("profiles", ()))
        key = event["class_uid"], profiles
        if key not in validators:
            name = schema.lookup_class_name_from_uid(event["class_uid"])
            form = schema.get_class_schema(class_name=name, profiles=list(profiles))
            validators[key] = jsonschema.Draft202012Validator(form)
        assert [error.message for error in validators[key].iter_errors(event)] == [], event
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]


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
        (6002, 99, None, None),
        (1007, 99, 1, 8),
        (6003, 99, None, None),
        (6003, 99, None, None),
        (4001, 5, 2, 2),
        (4001, 1, 1, 1),
        (4001, 2, 1, 1),
        (4001, 4, 1, 1),
        (4001, 3, 1, 1),
        (1007, 99, 2, 2),
        (6002, 99, None, None),
        (6002, 99, None, None),
        (6002, 99, None, None),
    ]


def test_connections_tell_which_way_and_how_much() -> None:
    refused, opened, closed = [event for event in ocsf() if event["class_uid"] == 4001][:3]
    assert (refused["severity"], refused["status"]) == ("Medium", "Failure")
    assert refused["dst_endpoint"] == {"hostname": "x.org", "port": 443}
    assert refused["policy"]["name"] == "r"
    assert opened["dst_endpoint"] == {"hostname": "x.org", "port": 443, "ip": "192.0.2.7"}
    assert closed["traffic"] == {"bytes_out": 10, "bytes_in": 20}
    assert (closed["status"], closed["duration"]) == ("Success", 500)
    told = [(one["event"]["type"][1], one["event"]["outcome"]) for one in ecs() if "network" in one]
    assert told == [
        ("denied", "failure"),
        ("start", "success"),
        ("end", "success"),
        ("end", "failure"),
        ("end", "failure"),
    ]
    cef = [line for line in lines(Format.CEF) if "connected" in line]
    assert " dhost=x.org dst=192.0.2.7 dpt=443 app=https proto=TCP out=10 in=20 cnt=1 " in cef[2]


def test_ocsf_names_the_rules_and_who_asked() -> None:
    denied = ocsf()[4]
    assert denied["policy"] == {
        "name": "git.push",
        "uid": "a.rules:3:1",
        "is_applied": True,
        "type": "user rule",
        "desc": "others see it",
    }
    assert denied["authorizations"] == [{"decision": "deny", "policy": denied["policy"]}]
    assert denied["ai_model"] == {"name": "model-x", "ai_provider": "house"}
    assert denied["message_context"] == {"application": {"name": "policy-agent"}, "uid": "s1"}
    assert denied["unmapped"]["controls"] == ["SOC2:CC6.1"]


# The values that ECS allows for its categorisation fields.
ECS_KINDS = {"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"}
ECS_CATEGORIES = {"api", "configuration", "file", "network", "process", "session"}
ECS_TYPES = {"allowed", "change", "connection", "denied", "end", "error", "info", "start"}


def ecs() -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(Format.ECS)]


def test_ecs_documents_are_categorised() -> None:
    documents = ecs()
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
        "reference": "a.rules:3:1",
        "category": "user",
        "description": "others see it",
    }
    assert documents[2]["process"] == {
        "entity_id": "c1",
        "command_line": "/usr/bin/git push",
        "working_directory": "/w",
        "name": "git",
    }


ECS = Path(__file__).parents[2] / ".node" / "node_modules" / "@elastic" / "ecs"
# ECS names the types that it expects beside a category. That a control let a process start, or did not, has no
# other place: `process` with `allowed` or `denied` is what is usual for it.
BEYOND = {("process", "allowed"), ("process", "denied")}


@pytest.fixture(scope="module")
def published_ecs() -> dict[str, Any]:
    """Every field with its type and its allowed values, as Elastic publishes them."""
    if not ECS.is_dir() or not shutil.which("node"):
        pytest.skip("`sh scripts/setup dev` fetches @elastic/ecs")
    script = "console.log(JSON.stringify(require(process.argv[1]).EcsFlat))"
    done = subprocess.run(
        ["node", "-e", script, str(ECS)], capture_output=True, text=True, check=True, timeout=60
    )
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def flattened(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        name = f"{path}{key}"
        if isinstance(item, dict) and name != "labels":
            yield from flattened(item, f"{name}.")
        else:
            yield name, item


def fits(value: object, field: dict[str, Any]) -> bool:
    match field["type"]:
        case "keyword" | "wildcard" | "match_only_text" | "text" | "constant_keyword":
            return isinstance(value, str)
        case "long":
            return isinstance(value, int)
        case "date":
            return isinstance(value, str) and bool(datetime.fromisoformat(value))
        case "ip":
            return isinstance(value, str) and bool(ip_address(value))
        case "object":
            return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        case _:
            return False


def test_ecs_documents_fit_the_published_schema(published_ecs: dict[str, Any]) -> None:
    for document in ecs():
        for name, value in flattened(document):
            field = published_ecs[name]
            assert isinstance(value, list) == ("array" in field["normalize"]), name
            for one in value if isinstance(value, list) else [value]:
                assert fits(one, field), (name, one)
                allowed = {each["name"] for each in field.get("allowed_values", ())}
                assert not allowed or one in allowed, (name, one)
        expected = {
            each["name"]: each["expected_event_types"]
            for each in published_ecs["event.category"]["allowed_values"]
        }
        about = document["event"]
        for category in about["category"]:
            for kind in about["type"]:
                assert kind in expected[category] or (category, kind) in BEYOND, (category, kind)


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1",
    "a\x00b",
    "\ud800",
    'q"q',
    "a,b",
    "|\\=\n",
]
texts = st.text(max_size=30) | st.sampled_from(HOSTILE)


def entry_of(event: AuditEvent) -> Entry:
    line, _ = seal(START, "2026-11-24T10:00:00.250000Z", to_json(event))
    record = read_line(line)
    assert record
    return Entry(record, event, line[:-1])


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """Strictly by the grammar: seven header fields, then keys; ValueError for anything else."""
    if any(ord(char) < 32 or 127 <= ord(char) < 160 or char in "\u2028\u2029" for char in line):
        raise ValueError("a control character")
    pieces, at = [""], 0
    while len(pieces) < 8:
        char = line[at]
        if char == "\\":
            if line[at + 1] not in "\\|":
                raise ValueError("an escape in the header")
            pieces[-1] += line[at + 1]
            at += 2
            continue
        pieces += [""] if char == "|" else []
        pieces[-1] += "" if char == "|" else char
        at += 1
    if pieces[0] != "CEF:0" or not pieces[6].isdecimal() or int(pieces[6]) > 10:
        raise ValueError("the header")
    found: dict[str, str] = {}
    rest = line[at:]
    starts = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest))
    if rest and (not starts or starts[0].start() != 0):
        raise ValueError("no key")
    for match, after in zip(starts, [*starts[1:], None], strict=True):
        value = rest[match.end() : after.start() if after else len(rest)]
        if re.search(r"(?<!\\)(?:\\\\)*=", value) or re.search(r"(?<!\\)(?:\\\\)*\\(?![\\=nr])", value):
            raise ValueError("an escape in a value")
        if match[1] in found:
            raise ValueError("a key twice")
        found[match[1]] = re.sub(
            r"\\(.)", lambda escape: {"n": "\n", "r": "\r"}.get(escape[1], escape[1]), value
        )
    return pieces[1:7], found


@given(texts, texts, texts)
def test_nothing_that_a_record_holds_leaves_its_cell(subject: str, rule: str, why: str) -> None:
    match = RuleMatch(
        rule_id=rule,
        decision=Decision.DENY,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, why, 1),
        justification=why,
    )
    part = Part(kind="command", text=subject, decision=Decision.DENY, matches=(match,))
    verdict = Verdict(decision=Decision.DENY, parts=(part,))
    entry = entry_of(Decided(subject, why, rule, subject, subject, verdict))
    _, row = map(str, export([entry], Format.CSV, Filter()))
    (cells,) = csv.reader(io.StringIO(row, newline=""))
    assert len(cells) == len(COLUMNS)
    assert not any(cell.lstrip()[:1] in {*"=+-@", "\uff1d"} for cell in cells)
    (cef,) = export([entry], Format.CEF, Filter())
    header, pairs = read_cef(str(cef))
    assert header[0] == "policy-agent"
    assert pairs["act"] == "deny"
    if subject and not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", subject):
        assert pairs["msg"] == subject
    for format in (Format.OCSF, Format.ECS):
        for line in export([entry], format, Filter()):
            assert json.loads(str(line))
            assert "\n" not in str(line)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], [*range(1, len(EVENTS) + 1)]),
        (["--decision", "deny"], [5]),
        (["--rule", "git.*", "--user", "ann", "--machine", "box"], [3, 4, 5]),
        (["--user", "nobody", "--rule", "git.*"], []),
        (["--program", "git", "--decision", "ask"], [4]),
        (["--call", "c3"], [12]),
        (["--from", "1h", "--to", "2100-01-01T00:00:00+05:30", "--call", "c3"], [12]),
        (["--to", "2001-01-01"], []),
    ],
)
def test_the_command_exports_what_was_asked_for(tmp_path: Path, words: list[str], numbers: list[int]) -> None:
    log = AuditLog(tmp_path)
    for event in EVENTS:
        log.record(event)
    log.close()
    result = CliRunner().invoke(app, ["export", "--format", "csv", "--dir", str(tmp_path), *words])
    assert result.exit_code == 0, result.output
    rows = csv.DictReader(io.StringIO(result.stdout, newline=""))
    assert [int(row["seq"]) for row in rows] == numbers
