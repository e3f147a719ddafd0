"""A policy as it would be if its rules in audit mode were enforced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Mode, Rule
from execpolicy.values import replace


def enforced(policy: Policy) -> Policy:
    """`policy` with every rule enforced. Rules are looked at when they are asked for, not before."""
    return replace(policy, rules=_Enforced(policy.rules))


class _Enforced(Sequence[Rule]):
    __slots__ = ("_rules",)

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules

    @overload
    def __getitem__(self, at: int) -> Rule: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Rule]: ...
    def __getitem__(self, at: int | slice) -> Rule | Sequence[Rule]:
        if isinstance(at, slice):
            return tuple(map(_enforce, self._rules[at]))
        return _enforce(self._rules[at])

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return map(_enforce, self._rules)


def _enforce(rule: Rule) -> Rule:
    if rule.meta.mode is Mode.ENFORCE:
        return rule
    return replace(rule, meta=replace(rule.meta, mode=Mode.ENFORCE))
