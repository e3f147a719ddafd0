"""Every event survives the way to JSON and back; anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.chain import START, canonical, read_line, seal
from compliance.codec import from_json, kind_of, to_json
from compliance.errors import RecordError
from compliance.events import (
    Approved,
    Asked,
    AuditEvent,
    BundleChanged,
    BundleStep,
    CommandRead,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    LookedUp,
    Outcome,
    Overridden,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.export import Format, export
from compliance.plain import describe
from compliance.query import Entry, Filter
from compliance.unwire import decode
from compliance.wire import encode
from execpolicy.decision import (
    Certainty,
    Confinement,
    Decision,
    Layer,
    NetworkAccess,
    Opening,
    Origin,
    Part,
    Reviewer,
    RuleMatch,
    SandboxMode,
    Scope,
    Verdict,
)

texts = st.text(max_size=12)
words = st.lists(texts, max_size=3).map(tuple)
optional = st.none() | texts
seconds = st.integers(0, 10**10).map(lambda micros: micros / 1_000_000)
origins = st.builds(Origin, st.sampled_from(Layer), texts, st.integers(1, 999), st.integers(1, 99))
rules = st.builds(
    RuleMatch,
    rule_id=texts,
    decision=st.sampled_from(Decision),
    certainty=st.sampled_from(Certainty),
    origin=origins,
    justification=optional,
    suggest=optional,
    words=words,
    enforced=st.booleans(),
    owner=optional,
    severity=optional,
    controls=words,
    opened=st.none() | st.builds(Opening, until=texts, approved_by=texts, ticket=optional, origin=origins),
)
parts = st.builds(
    Part,
    kind=texts,
    text=texts,
    decision=st.sampled_from(Decision),
    matches=st.lists(rules, max_size=2).map(tuple),
    unknowns=words,
    via=words,
    why=texts,
)
verdicts = st.builds(
    Verdict,
    decision=st.sampled_from(Decision),
    parts=st.lists(parts, max_size=2).map(tuple),
    unknowns=words,
    confinement=st.builds(
        Confinement,
        sandbox=st.none() | st.sampled_from(SandboxMode),
        network=st.none() | st.sampled_from(NetworkAccess),
    ),
    reviewer=st.sampled_from(Reviewer),
    scope=st.none() | st.sampled_from(Scope),
    expires=optional,
    suggest=optional,
    nearest=optional,
)
files = st.lists(st.builds(PolicyFile, texts, texts, texts, st.booleans(), texts), max_size=2).map(tuple)
pairs = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
facts = st.dictionaries(texts, texts | st.booleans() | words, max_size=3).map(
    lambda one: tuple(sorted(one.items()))
)
asked = st.builds(
    Asked,
    form=texts,
    before=texts,
    escalate=st.booleans(),
    program=texts,
    text=texts,
    server=texts,
    tool=texts,
    arguments=texts,
    accesses=pairs,
)
commands = st.builds(
    CommandRead,
    argv=st.lists(optional, max_size=3).map(tuple),
    unread=words,
    via=words,
    cwd=optional,
    files=pairs,
    unknowns=words,
)
outcomes = st.sampled_from(Outcome)
counts = st.integers(0, 2**40)
events: st.SearchStrategy[AuditEvent] = st.one_of(
    st.builds(
        SessionStarted,
        *[texts] * 9,
        st.booleans(),
        masked=words,
    ),
    st.builds(PolicyLoaded, texts, files, words, texts, masked=words),
    st.builds(Situated, texts, texts, texts, texts, words, words, texts, facts, masked=words),
    st.builds(
        Decided,
        texts,
        texts,
        texts,
        texts,
        texts,
        verdicts,
        *[texts] * 7,
        minute=st.integers(-1, 1440),
        asked=st.none() | asked,
        commands=st.lists(commands, max_size=2).map(tuple),
        readable=st.booleans(),
        lookups=st.lists(st.builds(LookedUp, texts, texts, texts, optional), max_size=2).map(tuple),
        masked=words,
    ),
    st.builds(Overridden, *[texts] * 7, masked=words),
    st.builds(ToolCalled, texts, texts, texts, texts, outcomes, seconds, texts, counts, masked=words),
    st.builds(SandboxDenied, *[texts] * 6, masked=words),
    st.builds(
        Connected,
        *[texts] * 3,
        counts,
        *[texts] * 3,
        words,
        st.sampled_from(LinkEnd),
        texts,
        counts,
        counts,
        seconds,
        counts,
        masked=words,
    ),
    st.builds(BundleChanged, *[texts] * 4, st.sampled_from(BundleStep), *[texts] * 3, masked=words),
    st.builds(Witnessed, texts, texts, counts, st.booleans(), texts, masked=words),
    st.builds(Approved, texts, texts, st.sampled_from(Reply), texts, texts, seconds, masked=words),
    st.builds(
        Ran,
        texts,
        texts,
        st.none() | st.integers(-64, 255),
        outcomes,
        seconds,
        texts,
        counts,
        texts,
        masked=words,
    ),
    st.builds(Patched, texts, texts, words, outcomes, masked=words),
    st.builds(Refused, texts, texts, texts, masked=words),
    st.builds(SessionEnded, texts, texts, masked=words),
    st.builds(
        Gap, texts, st.sampled_from(GapKind), texts, counts, counts, counts, texts, texts, masked=words
    ),
)


@given(events)
def test_every_event_comes_back_as_it_went(event: AuditEvent) -> None:
    assert from_json(to_json(event)) == event


@given(events)
def test_what_is_written_in_one_go_is_the_same(event: AuditEvent) -> None:
    assert encode(event) == canonical(to_json(event))
    assert decode(encode(event)) == event


def test_what_is_no_text_is_written_the_same() -> None:
    event = Decided("s", "c", "t", "a\udcff", "/", Verdict(decision=Decision.DENY))
    assert encode(event) == canonical(to_json(event))
    assert b'"a\\\\xff"' in encode(event)


@settings(max_examples=40)
@given(events)
def test_every_event_can_be_sealed_shown_and_exported(event: AuditEvent) -> None:
    line, _ = seal(START, "2026-11-24T10:00:00.000000Z", to_json(event))
    record = read_line(line)
    assert record
    assert not any(char in text for text in describe(1, record.time, event) for char in "\n\x1b\x9b\u202e")
    for format in Format:
        for told in export([Entry(record, event, line[:-1])], format, Filter()):
            assert isinstance(told, str)
            told.encode("utf-8", "replace")
            if format is Format.CEF:
                assert len(told.splitlines()) == 1


def test_the_json_form_of_a_decision() -> None:
    rule = RuleMatch(
        rule_id="git.push",
        decision=Decision.ASK,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "a.rules", 3),
        words=("push",),
    )
    part = Part(kind="command", text="git push", decision=Decision.ASK, matches=(rule,), via=("sudo",))
    event = Decided(
        "s1", "c1", "exec_command", "sudo git push", "/repo", Verdict(decision=Decision.ASK, parts=(part,))
    )
    rule_json = {
        "id": "git.push",
        "decision": "ask",
        "certainty": "yes",
        "layer": "user",
        "origin": "a.rules:3:1",
        "justification": None,
        "suggest": None,
        "words": ["push"],
        "enforced": True,
    }
    assert to_json(event) == {
        "kind": "decided",
        "session": "s1",
        "call": "c1",
        "tool": "exec_command",
        "subject": "sudo git push",
        "cwd": "/repo",
        "verdict": {
            "decision": "ask",
            "parts": [
                {
                    "kind": "command",
                    "text": "git push",
                    "decision": "ask",
                    "via": ["sudo"],
                    "unknowns": [],
                    "why": "",
                    "rules": [rule_json],
                }
            ],
            "rules": [rule_json],
            "unknowns": [],
            "confinement": {"sandbox": None, "network": None},
            "reviewer": "user",
            "scope": None,
            "expires": None,
            "suggest": None,
            "nearest": None,
        },
        **dict.fromkeys(("would", "agent", "model", "approval", "policy", "situation", "today"), ""),
        "minute": -1,
        "asked": None,
        "commands": [],
        "readable": True,
        "lookups": [],
    }
    assert kind_of(event) == "decided"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param([], id="not-an-object"),
        pytest.param({}, id="empty"),
        pytest.param({"kind": "danced", "session": "s"}, id="unknown-kind"),
        pytest.param({"kind": "refused", "session": "s", "call": "c"}, id="missing-field"),
        pytest.param({"kind": "refused", "session": 1, "call": "c", "why": "w"}, id="wrong-type"),
        pytest.param(
            {"kind": "patched", "session": "s", "call": "c", "paths": [1], "status": "failed"}, id="list"
        ),
        pytest.param(
            {"kind": "patched", "session": "s", "call": "c", "paths": [], "status": "odd"}, id="enum"
        ),
        pytest.param(
            {
                "kind": "decided",
                "session": "s",
                "call": "c",
                "tool": "t",
                "subject": "",
                "cwd": "",
                "verdict": [],
            },
            id="verdict",
        ),
    ],
)
def test_what_is_no_event_is_refused(data: object) -> None:
    with pytest.raises(RecordError):
        from_json(data)
