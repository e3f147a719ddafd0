"""The quick decision is the decision."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from execpolicy.decision import Layer
from execpolicy.engine.context import CheckContext
from execpolicy.engine.judge import decide
from execpolicy.engine.policy import Policy
from execpolicy.engine.quick import decide_words
from execpolicy.facts import CommandFacts, Word
from execpolicy.lang.rules import Exact, PrefixRule, RuleFile
from execpolicy.source import Span

sys.path.insert(0, str(Path(__file__).parents[2]))
from strategies import PROGRAMS, TEXTS, contexts, layered_files, prefix_rules

words = st.builds(
    lambda program, rest: [program, *rest],
    st.sampled_from((*PROGRAMS, "./git", "/usr/bin/git", "other")),
    st.lists(st.sampled_from(TEXTS), max_size=4),
)
plain_rules = st.builds(
    lambda rule, program, rest: replace(
        rule,
        pattern=(Exact(program), *map(Exact, rest)),
        unless=(),
        when=None,
        meta=replace(rule.meta, expires=None),
    ),
    prefix_rules(),
    st.sampled_from(PROGRAMS),
    st.lists(st.sampled_from(TEXTS), max_size=3),
)


def decided(files: list[tuple[Layer, RuleFile]], argv: list[str], context: CheckContext) -> None:
    policy = Policy.build(files)
    facts = CommandFacts(argv=tuple(map(Word.literal, argv)), span=Span(0, 0))
    assert decide_words(policy, argv, context) is decide(policy, facts, context).decision


@given(layered_files(), words, contexts())
def test_on_any_policy(files: list[tuple[Layer, RuleFile]], argv: list[str], context: CheckContext) -> None:
    decided(files, argv, context)


@given(st.lists(st.tuples(st.sampled_from(Layer), plain_rules), max_size=8), words, contexts())
def test_on_plain_rules(
    rules: list[tuple[Layer, PrefixRule]], argv: list[str], context: CheckContext
) -> None:
    decided([(layer, RuleFile(path="t", digest="", rules=(rule,))) for layer, rule in rules], argv, context)
