"""`when`: a boolean expression over named facts."""

from __future__ import annotations

import re
from typing import assert_never

from execpolicy.lang import rules, syntax
from execpolicy.lang.syntax import Comparator
from execpolicy.lang.values import (
    KIND,
    Boolean,
    Evaluator,
    Group,
    Items,
    Pattern,
    Report,
    Text,
    Value,
    suggestion,
)

TEXT_FACTS = (
    "cwd",
    "workspace",
    "branch",
    "repo",
    "user",
    "os",
    "host",
    "agent",
    "model",
    "sandbox",
    "network",
    "approval_policy",
    "weekday",
)
TRUE_FACTS = ("interactive",)
FACTS = (*TEXT_FACTS, *TRUE_FACTS)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
EXAMPLE = '`when = branch in ["main", glob("release/*")] and not interactive`'


class Conditions:
    """Lowers conditions of one file. An answer of None means that the error has been reported."""

    def __init__(self, evaluator: Evaluator, report: Report) -> None:
        self.evaluator = evaluator
        self.report = report

    def condition(self, expr: syntax.Expr) -> rules.Condition | None:
        match expr:
            case syntax.Group(inner, _):
                return self.condition(inner)
            case syntax.NotTest(operand, _):
                inside = self.condition(operand)
                return None if inside is None else rules.Not(inside)
            case syntax.AndTest(operands, _):
                found = self._all(operands)
                return None if found is None else rules.And(found)
            case syntax.OrTest(operands, _):
                found = self._all(operands)
                return None if found is None else rules.Or(found)
            case syntax.Comparison():
                return self._comparison(expr)
            case syntax.Name(name, span):
                if name in TRUE_FACTS:
                    return rules.Truth(rules.Fact(name))
                if name in TEXT_FACTS:
                    message = f"`{name}` is a text and neither true nor false"
                    self.report("E024", message, span, f'compare it: `{name} == "..."`')
                else:
                    self.report("E024", f"`{name[:60]}` is not a fact", span, help=suggestion(name, FACTS))
                return None
            case syntax.Call():
                return self._call(expr)
            case (
                syntax.Str(_, _, span)
                | syntax.Num(_, span)
                | syntax.ListExpr(_, span)
                | syntax.TupleExpr(_, span)
                | syntax.DictExpr(_, span)
                | syntax.Attribute(_, _, span)
                | syntax.Subscript(_, _, span)
                | syntax.Sum(_, span)
            ):
                self.report("E024", "this is not a condition", span, help=EXAMPLE)
                return None
        assert_never(expr)

    def _all(self, operands: tuple[syntax.Expr, ...]) -> tuple[rules.Condition, ...] | None:
        found = [condition for operand in operands if (condition := self.condition(operand)) is not None]
        return tuple(found) if len(found) == len(operands) else None

    def _call(self, call: syntax.Call) -> rules.Condition | None:
        match call.function:
            case syntax.Name("group", _):
                group = self.evaluator.value(call)
                return (
                    rules.Compare(rules.Fact("user"), (rules.GroupFact(group.name),))
                    if isinstance(group, Group)
                    else None
                )
            case syntax.Attribute(syntax.Name("time", _), syntax.Name("between", _), _):
                return self._between(call)
        self.report("E024", "this is not a condition", call.span, help=EXAMPLE)
        return None

    def _between(self, call: syntax.Call) -> rules.Condition | None:
        minutes: list[int] = []
        for argument in call.arguments:
            value = self.evaluator.value(argument.value)
            if value is None:
                return None
            found = CLOCK.fullmatch(value.text) if isinstance(value, Text) else None
            if argument.name is not None or found is None:
                self.report("E024", "not a time of day", argument.span, 'expected "09:30"')
                return None
            minutes.append(int(found[1]) * 60 + int(found[2]) if found[1] else 24 * 60)
        if len(minutes) != 2:
            self.report(
                "E024", "`time.between` takes two times", call.span, help='`time.between("09:00", "17:30")`'
            )
            return None
        return rules.TimeBetween(minutes[0], minutes[1])

    def _comparison(self, comparison: syntax.Comparison) -> rules.Condition | None:
        subject = self._subject(comparison.left)
        value = self.evaluator.value(comparison.right)
        if subject is None or value is None:
            return None
        negated = comparison.comparator in (Comparator.NOT_EQUAL, Comparator.NOT_IN)
        many = comparison.comparator in (Comparator.IN, Comparator.NOT_IN)
        condition = self._compare(subject, value, many)
        return rules.Not(condition) if condition is not None and negated else condition

    def _subject(self, expr: syntax.Expr) -> rules.Fact | rules.EnvFact | None:
        match expr:
            case syntax.Group(inner, _):
                return self._subject(inner)
            case syntax.Name(name, span):
                if name in FACTS:
                    return rules.Fact(name)
                self.report(
                    "E024", f"`{name[:60]}` is not a fact", span, help=suggestion(name, (*FACTS, "env"))
                )
                return None
            case syntax.Subscript(syntax.Name("env", _), index, _):
                key = self.evaluator.value(index)
                if isinstance(key, Text) and key.text and "=" not in key.text and "\0" not in key.text:
                    return rules.EnvFact(key.text)
                if key is not None:
                    self.report("E024", "not the name of a variable", index.span, 'expected `env["NAME"]`')
                return None
            case _:
                self.report("E024", "a comparison begins with a fact", expr.span, help=EXAMPLE)
                return None

    def _compare(
        self, subject: rules.Fact | rules.EnvFact, value: Value, many: bool
    ) -> rules.Condition | None:
        if isinstance(subject, rules.Fact) and subject.name in TRUE_FACTS:
            truth = rules.Truth(subject)
            if isinstance(value, Boolean) and not many:
                return truth if value.truth else rules.Not(truth)
            self.report(
                "E024", f"`{subject.name}` is true or false", value.span, f"this is {KIND[type(value)]}"
            )
            return None
        if many and isinstance(value, Items):
            items = value.items
            if not items:
                self.report("E017", "a list to look in cannot be empty", value.span)
                return None
        elif many and isinstance(value, Text):
            self.report("E024", "`in` looks in a list", value.span, "write `==`, or `[...]`")
            return None
        elif not many and isinstance(value, (Items, Group)):
            self.report("E024", f"a text is never {KIND[type(value)]}", value.span, "write `in`")
            return None
        else:
            items = (value,)
        options = [option for item in items if (option := self._option(subject, item)) is not None]
        return rules.Compare(subject, tuple(options)) if len(options) == len(items) else None

    def _option(
        self, subject: rules.Fact | rules.EnvFact, item: Value
    ) -> rules.WordPattern | rules.GroupFact | None:
        if isinstance(item, Group):
            if subject == rules.Fact("user"):
                return rules.GroupFact(item.name)
            self.report("E024", "only a `user` is in a group", item.span)
            return None
        if not isinstance(item, (Text, Pattern)):
            self.report("E024", f"{KIND[type(item)]} cannot be compared with a text", item.span)
            return None
        if isinstance(item, Text) and subject == rules.Fact("weekday") and item.text not in WEEKDAYS:
            self.report(
                "E024",
                f"`{item.text[:40]}` is not a day",
                item.span,
                help=suggestion(item.text.lower(), WEEKDAYS),
            )
            return None
        return self.evaluator.word(item)
