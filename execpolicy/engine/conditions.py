"""Does a `when` hold: yes, no or maybe. A fact that is not known is an unknown."""

from __future__ import annotations

from typing import assert_never

from execpolicy.decision import Certainty
from execpolicy.engine.context import CheckContext, FactValue
from execpolicy.engine.words import MAYBE, NO, YES, Places, fits_text
from execpolicy.lang.rules import (
    And,
    Compare,
    Condition,
    EnvFact,
    Fact,
    GroupFact,
    Not,
    Or,
    TimeBetween,
    Truth,
)

GROUPS = "groups"


def holds(condition: Condition | None, context: CheckContext, places: Places) -> Certainty:
    """Whether `condition` is true in `context`; no condition is."""
    match condition:
        case None:
            return YES
        case And(operands):
            return min((holds(operand, context, places) for operand in operands), default=YES)
        case Or(operands):
            return max((holds(operand, context, places) for operand in operands), default=NO)
        case Not(operand):
            return Certainty(YES - holds(operand, context, places))
        case Truth(fact):
            value = _fact(fact, context, places)
            if value is None:
                return MAYBE
            return YES if value not in (False, "", (), "false") else NO
        case TimeBetween(start, end):
            if context.minute is None:
                return MAYBE
            return YES if _in_window(context.minute, start, end) else NO
        case Compare():
            return _compare(condition, context, places)
        case _:
            assert_never(condition)


def _in_window(minute: int, start: int, end: int) -> bool:
    if start <= end:
        return start <= minute < end
    return minute >= start or minute < end


def _compare(compare: Compare, context: CheckContext, places: Places) -> Certainty:
    subject = compare.subject
    if isinstance(subject, EnvFact):
        if context.env is None:
            return MAYBE
        value: FactValue | None = context.env.get(subject.name, "")
    else:
        value = _fact(subject, context, places)
    best = NO
    for option in compare.options:
        if isinstance(option, GroupFact):
            members = context.facts.get(GROUPS)
            if not isinstance(members, tuple):
                best = max(best, MAYBE)
            elif option.name in members:
                return YES
            continue
        if value is None:
            best = max(best, MAYBE)
            continue
        for text in _texts(value):
            best = max(best, fits_text(option, text, places))
    return best


def _texts(value: FactValue) -> tuple[str, ...]:
    match value:
        case bool():
            return ("true",) if value else ("false",)
        case str():
            return (value,)
        case tuple():
            return value
        case _:
            assert_never(value)


def _fact(fact: Fact, context: CheckContext, places: Places) -> FactValue | None:
    """The value of a fact; None: not known. What the context itself says comes before what it was told."""
    match fact.name:
        case "cwd":
            return places.cwd
        case "workspace":
            return context.workspace
        case "sandbox":
            return context.sandbox.value
        case name:
            return context.facts.get(name)
