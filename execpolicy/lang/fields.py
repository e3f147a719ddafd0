"""The keys of one declaration: bound, evaluated, and read as what they must be."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import TypeVar

from execpolicy.lang import syntax
from execpolicy.lang.values import KIND, Evaluator, Items, Text, Value, suggestion
from execpolicy.source import Span

T = TypeVar("T")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Fields:
    """What a call gives. Each reader reports what is wrong and answers None; `broken` says that one did."""

    def __init__(
        self, call: syntax.Call, name: str, keys: tuple[str, ...], positional: int, evaluator: Evaluator
    ) -> None:
        self.call = call
        self.name = name
        self.evaluator = evaluator
        self.broken = False
        self.flawed = False  # something is wrong, but not with what the rule is about
        self._report = evaluator.report
        self._given: dict[str, syntax.Argument] = {}
        self._bind(keys, positional)

    def report(self, code: str, message: str, span: Span, label: str = "", help: str = "") -> None:
        self.broken = True
        self._report(code, message, span, label, help)

    def forgive(self) -> None:
        """What was wrong so far does not touch what the rule is about."""
        self.flawed |= self.broken
        self.broken = False

    def _bind(self, keys: tuple[str, ...], positional: int) -> None:
        place = 0
        named = False
        for argument in self.call.arguments:
            if argument.name is None:
                if named:
                    self.report("E022", "a value without a key stands behind one with a key", argument.span)
                    continue
                if place >= positional:
                    self.report(
                        "E022",
                        f"`{self.name}` takes its keys by name",
                        argument.span,
                        "expected `key = value`",
                    )
                    continue
                key = keys[place]
                place += 1
            else:
                named = True
                key = argument.name.id
                if key not in keys:
                    message = f"`{self.name}` has no key `{key[:60]}`"
                    self.report("E012", message, argument.name.span, help=suggestion(key, keys))
                    continue
            if key in self._given:
                self.report("E016", f"`{key}` is given twice", argument.span)
                continue
            self._given[key] = argument

    def has(self, key: str) -> bool:
        return key in self._given

    def span(self, key: str) -> Span:
        return self._given[key].value.span if key in self._given else self.call.function.span

    def expression(self, key: str) -> syntax.Expr | None:
        return self._given[key].value if key in self._given else None

    def need(self, *keys: str) -> None:
        """Reports the keys that are not there."""
        for key in keys:
            if key not in self._given:
                self.report("E013", f"`{self.name}` needs `{key}`", self.call.function.span)

    def value(self, key: str) -> Value | None:
        """None when the key is not there or its value is broken."""
        argument = self._given.get(key)
        if argument is None:
            return None
        value = self.evaluator.value(argument.value)
        if value is None:
            self.broken = True
        return value

    def text(self, key: str, *, blank: bool = False) -> str | None:
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, Text):
            self.report("E015", f"`{key}` is a string", value.span, f"this is {KIND[type(value)]}")
            return None
        if not blank and not value.text.strip():
            self.report("E017", f"`{key}` cannot be empty", value.span)
            return None
        return value.text

    def texts(self, key: str) -> tuple[tuple[str, Span], ...] | None:
        """A list of strings that are not empty."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, Items):
            self.report("E015", f"`{key}` is a list of strings", value.span, f"this is {KIND[type(value)]}")
            return None
        found: list[tuple[str, Span]] = []
        for item in value.items:
            if not isinstance(item, Text):
                self.report("E015", f"`{key}` is a list of strings", item.span, f"this is {KIND[type(item)]}")
            elif not item.text.strip():
                self.report("E017", f"`{key}` holds an empty string", item.span)
            else:
                found.append((item.text, item.span))
        return tuple(found)

    def choice(self, key: str, choices: Mapping[str, T], code: str = "E019") -> T | None:
        value = self.value(key)
        if value is None:
            return None
        wanted = _or(list(choices))
        if not isinstance(value, Text):
            self.report("E015", f"`{key}` is a string", value.span, f"expected {wanted}")
            return None
        if value.text not in choices:
            what = "a decision" if code == "E014" else f"a value of `{key}`"
            message = f"`{value.text[:60]}` is not {what}"
            self.report(
                code,
                message,
                value.span,
                f"expected {wanted}",
                suggestion(value.text.lower(), tuple(choices)),
            )
            return None
        return choices[value.text]

    def date(self, key: str) -> str | None:
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, Text) and DATE.fullmatch(value.text):
            try:
                return datetime.date.fromisoformat(value.text).isoformat()
            except ValueError:
                self.report("E018", f"`{value.text}` is not in the calendar", value.span)
                return None
        self.report("E018", f"`{key}` is a date", value.span, 'expected "2027-06-30"')
        return None


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
