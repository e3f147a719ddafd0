"""L010: a condition on a value that its fact never has, or on a group that nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from execpolicy.decision import NetworkAccess, Origin, SandboxMode
from execpolicy.diagnostics import Severity
from execpolicy.lang.rules import (
    And,
    Compare,
    Condition,
    Fact,
    GroupFact,
    Not,
    Or,
    TimeBetween,
    Truth,
)
from execpolicy.lint.base import Finding, LintFile, Numbered, Subject
from execpolicy.lint.words import texts

VALUES: Final = {
    "os": ("linux", "macos", "windows", "freebsd", "openbsd", "netbsd", "sunos", "aix", "cygwin", "android"),
    "sandbox": tuple(mode.value for mode in SandboxMode),
    "network": tuple(access.value for access in NetworkAccess),
}


class UnknownFact:
    code = "L010"
    name = "unknown-fact"
    summary = "a condition on a value or group that there is not"

    def run(self, subject: Subject) -> Iterator[Finding]:
        conditions = list(_conditions(subject))
        named = Counter(
            option.name
            for _, _, condition in conditions
            for compare in _compares(condition)
            for option in compare.options
            if isinstance(option, GroupFact)
        )
        for file, origin, condition in conditions:
            for compare in _compares(condition):
                for message, help_ in _wrong(compare, named, subject.groups):
                    yield Finding(
                        code=self.code,
                        severity=Severity.WARNING,
                        message=message,
                        file=file,
                        origin=origin,
                        key="when",
                        help=help_,
                    )


def _conditions(subject: Subject) -> Iterator[tuple[LintFile, Origin, Condition]]:
    for _, rule, file in Numbered(subject):
        if rule.when is not None:
            yield file, rule.meta.origin, rule.when
    for file in subject.files:
        for exception in file.rules.exceptions:
            if exception.when is not None:
                yield file, exception.origin, exception.when


def _compares(condition: Condition) -> Iterator[Compare]:
    match condition:
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _compares(operand)
        case Not(operand):
            yield from _compares(operand)
        case Compare():
            yield condition
        case Truth() | TimeBetween():
            pass


def _wrong(compare: Compare, named: Counter[str], groups: frozenset[str] | None) -> Iterator[tuple[str, str]]:
    for option in compare.options:
        if isinstance(option, GroupFact):
            if groups is not None:
                if option.name not in groups:
                    yield f"there is no group `{option.name}`", _near(option.name, sorted(groups))
                continue
            others = [
                name for name, count in named.items() if name != option.name and count > named[option.name]
            ]
            near = get_close_matches(option.name, others, 1, 0.85)
            if near:
                yield (
                    f"group `{option.name}` is named here only, `{near[0]}` elsewhere",
                    "name the groups that there are with `--group`, to be sure",
                )
        elif isinstance(compare.subject, Fact) and compare.subject.name in VALUES:
            fact, values = compare.subject.name, VALUES[compare.subject.name]
            for text in texts(option) or ():
                if text not in values:
                    known = f"it is one of {', '.join(values[:4])}"
                    yield f"`{fact}` is never `{text}`", _near(text, values) or known


def _near(text: str, known: tuple[str, ...] | list[str]) -> str:
    also = {"darwin": "macos", "osx": "macos", "mac": "macos", "win32": "windows", "win": "windows"}
    near = [also[text.lower()]] if text.lower() in also else get_close_matches(text.lower(), known, 1)
    return f"did you mean `{near[0]}`?" if near else ""
