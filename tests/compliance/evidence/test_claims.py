"""Nothing is claimed that no record supports: take records away, and claims shrink until none is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.chain import START, read_line, seal
from compliance.codec import to_json
from compliance.events import AuditEvent, Connected, Decided
from compliance.evidence.assemble import gather
from compliance.evidence.catalogue import FRAMEWORKS
from compliance.evidence.facts import WANTED, Facts
from compliance.evidence.pack import Pack, Status
from compliance.reading import Log, Scenes, Seen, Wanted, find_logs
from compliance.segments import Snapshot
from execpolicy.decision import Certainty
from execpolicy.values import replace

LOG = Log("", Snapshot(Path(), None, ()), True)
WHOLE = {"integrity", "signed"}  # these are of the log as a whole


def facts_of(events: Sequence[AuditEvent]) -> Facts:
    facts, scenes, link = Facts(), Scenes(), START
    for event in events:
        line, link = seal(
            link, f"2026-11-24T10:{link.seq // 60:02}:{link.seq % 60:02}.000000Z", to_json(event)
        )
        record = read_line(line)
        assert record
        facts.feed(Seen(LOG, record, event, scenes.after(event)))
    return facts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_fewer_records_never_support_more(story: list[AuditEvent], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.integers(0, len(story) - 1), unique=True).map(sorted))
    every, some = facts_of(story), facts_of([story[at] for at in kept])
    whole, part = every.named(()), some.named(())
    for name in set(whole) - WHOLE:
        assert part[name].count <= whole[name].count, name
        assert bool(part[name].refs) == (part[name].count > 0), name
    whole_uses, part_uses = every.uses, some.uses
    used = {(key.id, key.path): sum(use.verdicts.values()) for key, use in whole_uses.rules.items()}
    for key, use in part_uses.rules.items():
        assert sum(use.verdicts.values()) <= used[key.id, key.path]
    assert set(part_uses.openings) <= set(whole_uses.openings)


def pack_of(folder: Path, name: str) -> Pack:
    return gather(name, find_logs([folder]), Wanted())


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_each_claim_falls_with_its_records(
    name: str, story: list[AuditEvent], write_log: Callable[..., Path]
) -> None:
    """For each kind of event: without it, no claim that is about it stands, in any control."""
    full = pack_of(write_log(story), name)
    kinds = {type(event) for event in story}
    for kind in kinds:
        left = [event for event in story if type(event) is not kind]
        pack = pack_of(write_log(left, f"without-{kind.__name__}"), name)
        lost = {
            fact
            for fact, found in facts_of(story).named(()).items()
            if found.count and not facts_of(left).named(()).get(fact, found).count
        }
        for finding, before in zip(pack.findings, full.findings, strict=True):
            for fact in set(finding.control.shown_by) & lost:
                assert f"no record of {WANTED[fact]}" in finding.missing
            assert len(finding.rules) <= len(before.rules)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_without_records_every_control_has_no_record(
    name: str, story: list[AuditEvent], write_log: Callable[..., Path]
) -> None:
    folder = write_log(story)
    for wanted in (Wanted(until="2020-01-01T00:00:00.000000Z"), Wanted(since="2030-01-01T00:00:00.000000Z")):
        pack = gather(name, find_logs([folder]), wanted)
        for finding in pack.findings:
            assert finding.status is Status.NONE
            assert (finding.shown, finding.rules, finding.answers) == ((), (), ())
            assert len(finding.missing) > len(finding.control.shown_by)


def test_rules_speak_by_what_was_recorded_and_silent_ones_are_missing(
    story: list[AuditEvent], write_log: Callable[..., Path]
) -> None:
    found = {finding.control.id: finding for finding in pack_of(write_log(story), "soc2").findings}
    assert [rule.key.id for rule in found["CC6.1"].rules] == ["push"]
    assert [(answer.value, who, count) for answer, who, count in found["CC6.1"].answers] == [
        ("session", "ann", 1)
    ]
    assert [rule.key.id for rule in found["CC6.8"].rules] == ["rm"]
    assert any(text.startswith("rule dd ") for text in found["CC6.8"].missing)
    assert found["CC6.3"].rules == ()
    assert "no rule that names this control was enforced in the period" in found["CC6.3"].missing


def test_old_records_are_read_with_the_recorded_version_of_their_rules(
    story: list[AuditEvent], rules: Path, write_log: Callable[..., Path]
) -> None:
    """Records of before carry no controls: the file with the recorded digest says them, no other version does."""
    from dataclasses import replace as with_changes

    from execpolicy.values import replace

    old = [
        with_changes(
            event,
            verdict=replace(
                event.verdict,
                parts=tuple(
                    replace(part, matches=tuple(replace(one, controls=()) for one in part.matches))
                    for part in event.verdict.parts
                ),
            ),
        )
        if hasattr(event, "verdict")
        else event
        for event in story
    ]
    folder = write_log(old)
    named = {finding.control.id: len(finding.rules) for finding in pack_of(folder, "soc2").findings}
    assert (named["CC6.1"], named["CC6.8"]) == (1, 1)
    rules.write_text(rules.read_text() + "# later\n")
    pack = pack_of(folder, "soc2")
    assert not any(finding.rules for finding in pack.findings)
    assert any("no longer what was recorded" in note for note in pack.notes)


@pytest.mark.parametrize(
    ("fact", "count", "says"),
    [
        pytest.param("oversight", 3, "2 named people, 1 with yes", id="people-only"),
        pytest.param("reviewed", 1, "by no person: command:/opt/review", id="a-command-is-nobody"),
        pytest.param("reached", 1, "connections to 1 hosts", id="once-however-it-ended"),
        pytest.param("unreached", 3, "refused", id="alike-refusals-count-each"),
    ],
)
def test_answers_and_connections_are_counted_exactly(
    story: list[AuditEvent], fact: str, count: int, says: str
) -> None:
    found = facts_of(story).named(())[fact]
    assert (found.count, says in found.text) == (count, True), found


@pytest.mark.parametrize(
    ("name", "control"), [("soc2", "CC6.6"), ("iso27001", "A.8.20"), ("nist-800-53", "SC-7")]
)
def test_controls_of_networks_speak_of_connections_only(
    name: str, control: str, story: list[AuditEvent], write_log: Callable[..., Path]
) -> None:
    offline = [event for event in story if not isinstance(event, Connected)]
    finding = next(one for one in pack_of(write_log(offline), name).findings if one.control.id == control)
    assert finding.shown == ()


def test_a_rule_that_only_might_be_meant_shows_nothing(story: list[AuditEvent]) -> None:
    denied = next(event for event in story if isinstance(event, Decided) and event.call == "c2")
    (part,) = denied.verdict.parts
    sure = part.matches[0]
    maybe = replace(sure, rule_id="perhaps", certainty=Certainty.MAYBE)
    both = replace(denied, verdict=replace(denied.verdict, parts=(replace(part, matches=(sure, maybe)),)))
    alone = replace(denied, verdict=replace(denied.verdict, parts=(replace(part, matches=(maybe,)),)))
    assert [key.id for key in facts_of([both]).uses.rules] == ["rm"]
    assert [key.id for key in facts_of([alone]).uses.rules] == ["perhaps"]
