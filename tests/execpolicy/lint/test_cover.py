"""What is said about two rules holds for every command, known or not, in every context."""

from __future__ import annotations

from dataclasses import replace

import pytest
import strategies as s
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from execpolicy.decision import Certainty, Decision, Layer, Origin
from execpolicy.engine.context import CheckContext
from execpolicy.engine.judge import decide
from execpolicy.engine.match import CommandView, match_command, match_prefix
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places, fits
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang import rules as r
from execpolicy.lint.base import LintFile, Subject
from execpolicy.lint.checks.duplicate import Duplicate
from execpolicy.lint.checks.shadowed import Shadowed
from execpolicy.lint.checks.unreachable import why_never
from execpolicy.lint.cover import makes_needless, rivals, speaks_wherever
from execpolicy.lint.words import covers, is_empty
from execpolicy.source import SourceText

slow = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("wide", "narrow", "want"),
    [
        pytest.param(r.Exact("a"), r.Exact("a"), True, id="same"),
        pytest.param(r.Exact("a"), r.Exact("b"), False, id="other"),
        pytest.param(r.Glob("*"), r.Regex("x"), True, id="anything"),
        pytest.param(r.Glob("a*"), r.Glob("ab*"), True, id="longer-start"),
        pytest.param(r.Glob("ab*"), r.Glob("a*"), False, id="shorter-start"),
        pytest.param(r.Regex("^a"), r.Glob("a?"), True, id="regex-over-glob"),
        pytest.param(r.Glob("a*"), r.Regex("a"), False, id="search-is-not-anchored"),
        pytest.param(r.Glob("a*"), r.Regex("^a"), True, id="glob-over-anchored-regex"),
        pytest.param(r.AnyOf((r.Exact("a"), r.Exact("b"))), r.Exact("b"), True, id="one-of-a-list"),
        pytest.param(r.Exact("b"), r.AnyOf((r.Exact("a"), r.Exact("b"))), False, id="a-list-is-more"),
        pytest.param(r.NoneOf((r.Exact("a"),)), r.NoneOf((r.Glob("a*"),)), True, id="refuses-less"),
        pytest.param(r.NoneOf((r.Glob("a*"),)), r.NoneOf((r.Exact("a"),)), False, id="refuses-more"),
        pytest.param(r.Within("/a"), r.Within("/a/b"), True, id="folder-in-folder"),
        pytest.param(r.Within("/a"), r.Within("/a/../b"), False, id="folder-with-dots"),
        pytest.param(r.Within("$WORKSPACE"), r.Exact("/etc/x"), False, id="workspace-is-not-known"),
    ],
)
def test_words(wide: r.WordPattern, narrow: r.WordPattern, want: bool) -> None:
    assert covers(wide, narrow) is want


@slow
@given(s.word_patterns, s.word_patterns, s.words)
def test_a_pattern_that_covers_is_never_less_certain(
    wide: r.WordPattern, narrow: r.WordPattern, word: Word
) -> None:
    assume(covers(wide, narrow))
    places = Places("/ws", "/ws", "/home/u")
    assert fits(wide, word, places) >= fits(narrow, word, places)


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        pytest.param(r.AllOf((r.Exact("a"), r.Exact("b"))), True, id="two-words-at-once"),
        pytest.param(r.AllOf((r.Glob("a*"), r.Glob("b*"))), True, id="two-starts-at-once"),
        pytest.param(r.AllOf((r.Glob("a*"), r.Glob("*b"))), False, id="start-and-end"),
        pytest.param(r.AllOf((r.Glob("a?"), r.NoneOf((r.Glob("a*"),)))), True, id="and-not-itself"),
        pytest.param(r.NoneOf((r.Glob("*"),)), True, id="not-anything"),
        pytest.param(r.Regex("a$b"), True, id="behind-the-end"),
        pytest.param(
            r.AllOf((r.Exact("/etc/x"), r.Within("$WORKSPACE"))), False, id="workspace-is-not-known"
        ),
        pytest.param(r.Exact(""), False, id="the-empty-word"),
    ],
)
def test_empty(pattern: r.WordPattern, want: bool) -> None:
    assert is_empty(pattern) is want


@st.composite
def pairs(draw: st.DrawFn) -> tuple[r.Rule, r.Rule]:
    """Two rules, of which the second often is the first with more asked for."""
    wide = draw(s.any_rules())
    if draw(st.booleans()):
        return wide, draw(s.any_rules())
    narrow = wide
    match wide:
        case r.PrefixRule():
            narrow = replace(wide, pattern=(*wide.pattern, *draw(s.element_lists(2))))
        case r.CommandRule(flags=flags):
            more = draw(st.lists(st.sampled_from(s.FLAGS), max_size=1))
            narrow = replace(
                wide,
                flags=replace(flags, all_of=(*flags.all_of, *more)),
                args=(*(wide.args or ()), *draw(s.element_lists(1))),
            )
        case r.PathRule():
            narrow = replace(wide, access=frozenset(list(wide.access)[:1]))
        case _:
            pass
    meta = narrow.meta
    return wide, replace(narrow, when=draw(s.whens), meta=replace(meta, decision=draw(s.decisions)))


def certainty(rule: r.Rule, policy: Policy, command: CommandFacts, context: CheckContext) -> int:
    view = CommandView(command, context)
    if isinstance(rule, r.PrefixRule):
        return match_prefix(rule, view, policy.hosts, Layer.USER)
    assert isinstance(rule, r.CommandRule)
    return match_command(rule, view, policy.hosts, Layer.USER)


@slow
@given(pairs(), s.commands(), s.contexts())
def test_a_rule_that_speaks_wherever_does(
    pair: tuple[r.Rule, r.Rule], command: CommandFacts, context: CheckContext
) -> None:
    wide, narrow = pair
    assume(not isinstance(wide, r.PathRule) and not isinstance(narrow, r.PathRule))
    assume(wide.meta.decision >= narrow.meta.decision and speaks_wherever(wide, narrow))
    policy = Policy.build([(Layer.USER, r.RuleFile(path="t", digest="", rules=(wide, narrow)))])
    assert certainty(wide, policy, command, context) >= certainty(narrow, policy, command, context)


@slow
@given(pairs(), s.layers, s.layers, s.layered_files(2), s.commands(), s.contexts(), st.booleans())
def test_a_needless_rule_can_be_taken_out(
    pair: tuple[r.Rule, r.Rule],
    one: Layer,
    other: Layer,
    rest: list[tuple[Layer, r.RuleFile]],
    command: CommandFacts,
    context: CheckContext,
    same: bool,
) -> None:
    wide, narrow = pair
    if same:
        one, wide, narrow = other, replace(wide, meta=replace(wide.meta, mode=r.Mode.ENFORCE)), narrow
    layered = [(one, r.RuleFile(path="a", digest="", rules=(wide,))), *rest]
    extra = (other, r.RuleFile(path="b", digest="", rules=(narrow,)))
    policy, without = Policy.build([*layered, extra]), Policy.build(layered)
    assume(makes_needless(policy, wide, one, narrow, other))
    got, want = decide(policy, command, context), decide(without, command, context)
    assert (got.decision, got.confinement, got.reviewer, got.scope, got.expires) == (
        want.decision,
        want.confinement,
        want.reviewer,
        want.scope,
        want.expires,
    )


@slow
@given(s.any_rules(), s.commands(), s.contexts(), s.layered_files(2), s.layers)
def test_a_rule_that_never_matches_never_does(
    rule: r.Rule,
    command: CommandFacts,
    context: CheckContext,
    rest: list[tuple[Layer, r.RuleFile]],
    layer: Layer,
) -> None:
    assume(not isinstance(rule, r.PathRule) and why_never(rule) is not None)
    alone = Policy.build([(Layer.USER, r.RuleFile(path="t", digest="", rules=(rule,)))])
    assert certainty(rule, alone, command, context) < Certainty.YES
    if rule.meta.decision is Decision.ALLOW:
        policy = Policy.build([*rest, (layer, r.RuleFile(path="t", digest="", rules=(rule,)))])
        without = Policy.build(rest)
        assert decide(policy, command, context).decision is decide(without, command, context).decision


@slow
@given(s.layered_files(4), s.commands(), s.contexts())
def test_what_the_checks_find_makes_no_difference(
    layered: list[tuple[Layer, r.RuleFile]], command: CommandFacts, context: CheckContext
) -> None:
    """Each rule gets a line of its own, so that the finding says which one it is about."""
    layered = [
        (
            layer,
            replace(
                file,
                path=str(number),
                rules=tuple(
                    replace(rule, meta=replace(rule.meta, origin=Origin(layer, str(number), line)))
                    for line, rule in enumerate(file.rules, 1)
                ),
            ),
        )
        for number, (layer, file) in enumerate(layered)
    ]
    files = tuple(LintFile(SourceText(file.path, ""), layer, file) for layer, file in layered)
    policy = Policy.build(layered)
    subject = Subject(files=files, policy=policy)
    whole = decide(policy, command, context)
    for finding in [*Duplicate().run(subject), *Shadowed().run(subject)]:
        left = [
            (
                layer,
                replace(file, rules=tuple(one for one in file.rules if one.meta.origin != finding.origin)),
            )
            for layer, file in layered
        ]
        without = decide(Policy.build(left), command, context)
        assert (without.decision, without.confinement, without.reviewer, without.scope, without.expires) == (
            whole.decision,
            whole.confinement,
            whole.reviewer,
            whole.scope,
            whole.expires,
        )


def test_rivals_are_few_and_right() -> None:
    rules = tuple(
        r.PrefixRule(
            meta=r.Meta(id=str(number), decision=Decision.DENY, origin=s.origin()),
            pattern=(r.Exact("git"), r.Exact(f"sub{number % 50}"), r.Exact(f"x{number}")),
        )
        for number in range(500)
    )
    whole = r.PrefixRule(
        meta=r.Meta(id="whole", decision=Decision.DENY, origin=s.origin()), pattern=(r.Exact("git"),)
    )
    policy = Policy.build([(Layer.USER, r.RuleFile(path="t", digest="", rules=(*rules, whole)))])
    assert list(rivals(policy, 7)) == [500]
