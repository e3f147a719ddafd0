"""L003: two rules of one layer about the same thing that decide differently."""

from __future__ import annotations

from collections.abc import Iterator

from execpolicy.decision import Layer
from execpolicy.diagnostics import Severity
from execpolicy.lang.rules import Mode
from execpolicy.lint.base import Finding, Numbered, Subject
from execpolicy.lint.cover import rivals, speaks_wherever


class Conflicting:
    code = "L003"
    name = "conflicting"
    summary = "two rules of one layer about the same thing that decide differently"

    def run(self, subject: Subject) -> Iterator[Finding]:
        policy = subject.policy
        for number, rule, file in Numbered(subject):
            if rule.meta.mode is Mode.AUDIT:
                continue
            for other in rivals(policy, number):
                stricter = policy.rules[other]
                if Layer(policy.layers[other]) is not Layer(policy.layers[number]):
                    continue
                if stricter.meta.decision <= rule.meta.decision or stricter.meta.mode is Mode.AUDIT:
                    continue
                if not (speaks_wherever(stricter, rule) and speaks_wherever(rule, stricter)):
                    continue
                said, strict = rule.meta.decision.word, stricter.meta.decision.word
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING,
                    message=f"`{rule.meta.id}` says {said}, `{stricter.meta.id}` says {strict} about the same",
                    file=file,
                    origin=rule.meta.origin,
                    key="decision",
                    label=f"{strict} at {stricter.meta.origin}",
                    help="the stricter one holds: keep the one that is meant",
                )
                break
