"""Why the rules that did not speak did not, nearest first, and the nearest command that is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, assert_never

from execpolicy.decision import Certainty, Decision, Layer, Origin
from execpolicy.engine.conditions import holds
from execpolicy.engine.context import CheckContext
from execpolicy.engine.index import BELOW, ENDS, Bucket, Tree
from execpolicy.engine.match import CommandView, match_command, match_prefix, program_fits
from execpolicy.engine.policy import Policy
from execpolicy.engine.speech import expired, opening
from execpolicy.engine.words import NO, YES, Places, fits
from execpolicy.facts import CommandFacts
from execpolicy.lang.rules import (
    AllOf,
    AnyOf,
    CommandRule,
    Element,
    End,
    Exact,
    Glob,
    Mode,
    NoneOf,
    PrefixRule,
    Regex,
    Rest,
    Within,
)
from execpolicy.values import frozen, replace

LOOKED_AT: Final = 500  # rules about one program
SHOWN: Final = 3


@frozen
class NearMiss:
    """A rule about the same program that did not speak."""

    rule_id: str
    decision: Decision
    origin: Origin
    pattern: str
    reason: str
    words: int  # how many words it has in common with the command


def shown(element: Element) -> str:
    """A pattern as a person would write a command that fits it."""
    match element:
        case Exact(text):
            return text or "''"
        case Glob(pattern):
            return pattern
        case Regex(pattern):
            return f"/{pattern}/"
        case Within(root):
            return f"{root}/..."
        case AnyOf(options):
            return "|".join(map(shown, options[:6])) + ("|..." if len(options) > 6 else "")
        case AllOf(options):
            return "&".join(map(shown, options))
        case NoneOf(options):
            return f"not({'|'.join(map(shown, options))})"
        case Rest():
            return "..."
        case End():
            return ""
        case _:
            assert_never(element)


def pattern_of(rule: PrefixRule | CommandRule) -> str:
    """The command that a rule is about."""
    if isinstance(rule, PrefixRule):
        return " ".join(filter(None, map(shown, rule.pattern)))
    flags = (*rule.flags.all_of, *rule.flags.any_of[:1])
    args = rule.args or ()
    return " ".join((shown(rule.program), *map(shown, rule.subcommand), *flags, *map(shown, args)))


def near_misses(policy: Policy, facts: CommandFacts, context: CheckContext) -> list[NearMiss]:
    """The rules about the program that did not speak, those with most words in common first."""
    if not facts.argv or facts.argv[0].text is None:
        return []
    view = CommandView(facts, context)
    misses = []
    for number in _about(policy.bucket(view.program.base)):
        rule = policy.rules[number]
        if not isinstance(rule, PrefixRule | CommandRule):
            continue
        reason = _reason(policy, number, rule, view)
        if reason is not None:
            meta = rule.meta
            common = _common(rule, view)
            misses.append(NearMiss(meta.id, meta.decision, meta.origin, pattern_of(rule), reason, common))
    misses.sort(key=lambda miss: -miss.words)
    return misses[:SHOWN]


def nearest_allowed(policy: Policy, facts: CommandFacts, context: CheckContext) -> str | None:
    """The command of an allow rule about the same program that has most words in common."""
    if not facts.argv or facts.argv[0].text is None:
        return None
    view = CommandView(facts, context)
    best: tuple[int, str] | None = None
    for number in _about(policy.bucket(view.program.base)):
        if policy.index.decisions[number] != Decision.ALLOW:
            continue
        rule = policy.rules[number]
        if (
            not isinstance(rule, PrefixRule | CommandRule)
            or rule.meta.mode is Mode.AUDIT
            or expired(rule.meta, context)
            or not all(map(_plain, _elements(rule)))
        ):
            continue
        common = _common(rule, view)
        if isinstance(rule, PrefixRule) and common == len(rule.pattern) - 1:
            continue  # the words fit and yet it was not allowed: saying them again is no way out
        if best is None or common > best[0]:
            # Of many programs that the rule names, the one that the command is about.
            best = (common, view.program.base + pattern_of(rule).removeprefix(shown(_elements(rule)[0])))
    return best[1] if best is not None else None


def _elements(rule: PrefixRule | CommandRule) -> tuple[Element, ...]:
    return (
        rule.pattern if isinstance(rule, PrefixRule) else (rule.program, *rule.subcommand, *(rule.args or ()))
    )


def _plain(element: Element) -> bool:
    """Whether a person could type it: the text of a pattern is a rule, and no way out."""
    if isinstance(element, AnyOf):
        return all(map(_plain, element.options))
    return isinstance(element, Exact | Glob | End) or (isinstance(element, Rest) and element.each is None)


def _about(bucket: Bucket) -> Iterator[int]:
    numbers = [*bucket.loose[:LOOKED_AT]]
    for group in islice(bucket.commands.values(), LOOKED_AT):
        numbers += group[:LOOKED_AT]
    if bucket.prefixes is not None:
        numbers += islice(_leaves(bucket.prefixes), LOOKED_AT)
    return iter(sorted(set(numbers[:LOOKED_AT])))


def _leaves(tree: Tree) -> Iterator[int]:
    open_: list[Any] = [tree]
    while open_:
        node = open_.pop()
        if isinstance(node, int):
            yield node
            continue
        yield from node[ENDS]
        open_.extend(node[BELOW].values())


def _common(rule: PrefixRule | CommandRule, view: CommandView) -> int:
    words = view.facts.argv[1:]
    patterns = rule.pattern[1:] if isinstance(rule, PrefixRule) else rule.subcommand
    count = 0
    for pattern, word in zip(patterns, words, strict=False):
        if isinstance(pattern, Rest | End) or not fits(pattern, word, view.places):
            break
        count += 1
    return count


def _reason(policy: Policy, number: int, rule: PrefixRule | CommandRule, view: CommandView) -> str | None:
    """Why the rule did not speak; None when it did."""
    layer = Layer(policy.layers[number])
    found = _matched(policy, rule, view, layer)
    context, places = view.context, view.places
    if expired(rule.meta, context):
        return f"it expired on {rule.meta.expires}"
    if rule.meta.mode is Mode.AUDIT and found:
        return "it is in audit mode: reported, not enforced"
    if found and opening(policy, rule.meta, layer, context, places) is not None:
        return "an exception opens it"
    if found is YES or (found and rule.meta.decision is not Decision.ALLOW):
        return None
    pattern = rule.pattern[0] if isinstance(rule, PrefixRule) else rule.program
    assert not isinstance(pattern, Rest | End)
    if program_fits(pattern, rule.meta.decision, view, policy.hosts, layer) is NO:
        return f"`{view.program.text}` is not known to be the program that it means"
    if holds(rule.when, context, places) is NO:
        return "its `when` does not hold here"
    if found is Certainty.MAYBE:
        if holds(rule.when, context, places) is Certainty.MAYBE:
            return "its `when` depends on a fact that is not known"
        return "a word is not known, and an allow needs proof"
    if rule.unless and _matched(policy, replace(rule, unless=()), view, layer):
        return "its `unless` applies"
    return _words(rule, view, places)


def _matched(policy: Policy, rule: PrefixRule | CommandRule, view: CommandView, layer: Layer) -> Certainty:
    if isinstance(rule, PrefixRule):
        return match_prefix(rule, view, policy.hosts, layer)
    return match_command(rule, view, policy.hosts, layer)


def _words(rule: PrefixRule | CommandRule, view: CommandView, places: Places) -> str:
    if isinstance(rule, CommandRule):
        return _options(rule, view)
    argv = view.facts.argv
    for index, element in enumerate(rule.pattern[1:], 1):
        if isinstance(element, Rest):
            return "a later word does not fit its `rest(...)`"
        if isinstance(element, End):
            return "the command goes on where the rule wants its end"
        if index >= len(argv):
            return f"the command ends where the rule wants `{shown(element)}`"
        if fits(element, argv[index], places) is NO:
            return f"word {index + 1} is `{argv[index].raw}`, the rule wants `{shown(element)}`"
    return "the command is not the one that the rule means"


def _options(rule: CommandRule, view: CommandView) -> str:
    line = view.line
    for option in rule.flags.all_of:
        if not line.has(option):
            return f"`{option}` is not given"
    if rule.flags.any_of and not any(line.has(option) for option in rule.flags.any_of):
        return f"none of `{' '.join(rule.flags.any_of)}` is given"
    for option in rule.flags.none_of:
        if line.has(option):
            return f"`{option}` is given"
    if rule.subcommand:
        return f"the operands do not begin with `{' '.join(map(shown, rule.subcommand))}`, or do not fit its arguments"
    return "the operands do not fit its arguments"
