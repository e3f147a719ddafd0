"""L004: a rule that no command can match with certainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from execpolicy.diagnostics import Severity
from execpolicy.lang.rules import (
    And,
    CommandRule,
    Compare,
    Condition,
    Element,
    End,
    Fact,
    GroupFact,
    Not,
    Or,
    PrefixRule,
    Rest,
    Rule,
    ToolRule,
)
from execpolicy.lint.base import Finding, Numbered, Subject
from execpolicy.lint.words import is_empty, texts

SINGLE: Final = frozenset({"branch", "user", "os", "host", "agent", "model", "sandbox", "network", "weekday"})


class Unreachable:
    code = "L004"
    name = "unreachable"
    summary = "a rule that no command can match"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for _, rule, file in Numbered(subject):
            found = why_never(rule)
            if found is not None:
                key, why = found
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING,
                    message=f"rule `{rule.meta.id}` matches nothing: {why}",
                    file=file,
                    origin=rule.meta.origin,
                    key=key,
                    help="correct it or take it out",
                )


def why_never(rule: Rule) -> tuple[str, str] | None:
    """The key and the reason for which `rule` never matches with certainty; None when it may."""
    if rule.when is not None and _never(rule.when):
        return "when", "the condition contradicts itself"
    match rule:
        case PrefixRule():
            return _words("pattern", rule.pattern) or _excepted(rule)
        case CommandRule(flags=flags):
            if is_empty(rule.program):
                return "program", "no program fits"
            forbidden = set(flags.none_of)
            if forbidden & set(flags.all_of) or (flags.any_of and set(flags.any_of) <= forbidden):
                return "flags", "a flag must be given and must not be given"
            return _words("subcommand", rule.subcommand) or _words("args", rule.args or ()) or _excepted(rule)
        case ToolRule():
            if is_empty(rule.tool) or (rule.server is not None and is_empty(rule.server)):
                return "tool", "no tool fits"
            return None
        case _:
            return None


def _words(key: str, elements: Sequence[Element]) -> tuple[str, str] | None:
    if any(isinstance(element, End) for element in elements[:-1]):
        return key, "`end` stands before other words"
    for element in elements:
        if not isinstance(element, Rest | End) and is_empty(element):
            return key, "no word fits one of its patterns"
    return None


def _excepted(rule: PrefixRule | CommandRule) -> tuple[str, str] | None:
    for elements in rule.unless:
        if elements and all(isinstance(one, Rest) and one.each is None for one in elements):
            return "unless", "`unless` excepts every command"
    return None


def _never(condition: Condition) -> bool:
    match condition:
        case And(operands):
            flat = list(_flat(operands))
            if any(map(_never, flat)) or any(Not(one) in flat for one in flat):
                return True
            return any(_apart(one, other) for one in flat for other in flat)
        case Or(operands):
            return all(map(_never, operands))
        case _:
            return False


def _flat(operands: Sequence[Condition]) -> Iterator[Condition]:
    for operand in operands:
        if isinstance(operand, And):
            yield from _flat(operand.operands)
        else:
            yield operand


def _apart(one: Condition, other: Condition) -> bool:
    """Whether one fact would need two values at a time."""
    if not (isinstance(one, Compare) and isinstance(other, Compare) and one.subject == other.subject):
        return False
    if not (isinstance(one.subject, Fact) and one.subject.name in SINGLE):
        return False
    listed = [_texts(compare) for compare in (one, other)]
    return all(found is not None for found in listed) and not set(listed[0] or ()) & set(listed[1] or ())


def _texts(compare: Compare) -> tuple[str, ...] | None:
    found = [None if isinstance(option, GroupFact) else texts(option) for option in compare.options]
    if any(one is None for one in found):
        return None
    return tuple(text for one in found for text in one or ())
