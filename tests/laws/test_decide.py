"""The three laws, and agreement with the definition."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference_evaluator import decide as reference
from reference_evaluator import enforced
from strategies import (
    TEXTS,
    any_rules,
    commands,
    contexts,
    defaults,
    known_commands,
    layered_files,
    layers,
    rule_files,
    scripts,
    spoil,
    unknown_words,
)

from execpolicy.decision import Decision, Layer, Verdict
from execpolicy.engine.check import check_facts
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.facts import CommandFacts, ScriptFacts, Word
from execpolicy.lang.rules import Mode, RuleFile

Layered = list[tuple[Layer, RuleFile]]


def verdict(files: Layered, script: ScriptFacts, context: CheckContext) -> Verdict:
    return check_facts(script, Policy.build(files), context)


def decision(files: Layered, script: ScriptFacts, context: CheckContext) -> Decision:
    return verdict(files, script, context).decision


def one(command: CommandFacts) -> ScriptFacts:
    return ScriptFacts(text="", commands=(command,))


@given(layered_files(), known_commands(), contexts(), st.data())
def test_an_unknown_word_never_loosens(
    files: Layered, command: CommandFacts, context: CheckContext, data: st.DataObject
) -> None:
    """A deny may become an ask, never an allow; an ask stays at least an ask."""
    at = data.draw(st.integers(0, len(command.argv) - 1))
    text = command.argv[at].text
    assert text is not None
    spoiled = spoil(command, at, data.draw(unknown_words(text)))
    before = decision(files, one(command), context)
    assert decision(files, one(spoiled), context) >= min(before, Decision.ASK)


@given(layered_files(), commands(), contexts(), st.data())
def test_a_second_unknown_word_never_loosens(
    files: Layered, command: CommandFacts, context: CheckContext, data: st.DataObject
) -> None:
    known = [at for at, word in enumerate(command.argv) if word.text is not None]
    assume(known)
    at = data.draw(st.sampled_from(known))
    spoiled = spoil(command, at, Word.unknown("variable x", many=data.draw(st.booleans())))
    before = decision(files, one(command), context)
    assert decision(files, one(spoiled), context) >= min(before, Decision.ASK)


@given(layered_files(), st.tuples(layers, any_rules(Decision.DENY)), scripts(), contexts())
def test_a_new_deny_never_loosens(
    files: Layered, added: tuple[Layer, object], script: ScriptFacts, context: CheckContext
) -> None:
    layer, rule = added
    more = RuleFile(path="n.rules", digest="", rules=(rule,))  # type: ignore[arg-type]
    assert decision([*files, (layer, more)], script, context) >= decision(files, script, context)


@given(layered_files(), st.tuples(layers, any_rules(Decision.ALLOW)), scripts(), contexts())
def test_a_new_allow_never_tightens(
    files: Layered, added: tuple[Layer, object], script: ScriptFacts, context: CheckContext
) -> None:
    layer, rule = added
    more = RuleFile(path="n.rules", digest="", rules=(rule,))  # type: ignore[arg-type]
    assert decision([*files, (layer, more)], script, context) <= decision(files, script, context)


@given(layered_files(), rule_files(), defaults, scripts(), contexts())
def test_a_lower_layer_never_loosens_what_a_higher_declared(
    files: Layered, lower: RuleFile, declared: object, script: ScriptFacts, context: CheckContext
) -> None:
    higher = [(layer, file) for layer, file in files if layer < Layer.SESSION]
    silence = RuleFile(path="d.rules", digest="", defaults=declared)  # type: ignore[arg-type]
    higher.append((Layer.MANAGED, silence))
    script = replace(script, commands=tuple(replace(command, files=()) for command in script.commands))
    assert decision([*higher, (Layer.SESSION, lower)], script, context) >= decision(higher, script, context)


@given(layered_files(), rule_files(), scripts(), contexts())
def test_a_lower_layer_never_loosens_what_a_higher_rule_said(
    files: Layered, lower: RuleFile, script: ScriptFacts, context: CheckContext
) -> None:
    higher = [(layer, file) for layer, file in files if layer < Layer.SESSION]
    said = [
        match.decision if match.certainty == 2 else Decision.ASK
        for match in verdict(higher, script, context).matches
        if match.enforced and match.decision is not Decision.ALLOW
    ]
    assert decision([*higher, (Layer.SESSION, lower)], script, context) >= max(said, default=Decision.ALLOW)


@settings(max_examples=400)
@given(layered_files(), scripts(known_commands()), contexts())
def test_known_words_are_judged_as_defined(
    files: Layered, script: ScriptFacts, context: CheckContext
) -> None:
    assert decision(files, script, context) is reference(files, script, context, TEXTS)


@settings(max_examples=400, deadline=None)
@given(layered_files(), commands(), contexts())
def test_unknown_words_are_never_allowed_what_is_not(
    files: Layered, command: CommandFacts, context: CheckContext
) -> None:
    """A deny that holds whatever the words become may be seen as one that is possible only: an ask."""
    script = one(replace(command, files=()))
    assert decision(files, script, context) >= min(reference(files, script, context, TEXTS), Decision.ASK)


@given(layered_files(), scripts(), contexts())
def test_audit_rules_decide_nothing(files: Layered, script: ScriptFacts, context: CheckContext) -> None:
    without = [
        (layer, replace(file, rules=tuple(rule for rule in file.rules if rule.meta.mode is Mode.ENFORCE)))
        for layer, file in files
    ]
    assert decision(files, script, context) is decision(without, script, context)


@given(layered_files(), scripts(), contexts())
def test_a_verdict_is_the_strictest_of_its_parts(
    files: Layered, script: ScriptFacts, context: CheckContext
) -> None:
    found = verdict(files, script, context)
    strictest = max((part.decision for part in found.parts), default=Decision.ALLOW)
    assert found.decision >= strictest
    if script.readable and not script.unknowns:
        assert found.decision is strictest
    alive = {rule.meta.id for _, rule in enforced(files, context)}
    assert all(match.rule_id in alive for match in found.matches if match.enforced)
