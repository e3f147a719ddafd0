"""L001: a rule that says what another rule already says."""

from __future__ import annotations

from collections.abc import Iterator

from execpolicy.decision import Layer
from execpolicy.diagnostics import Severity
from execpolicy.lint.base import Finding, Numbered, Subject
from execpolicy.lint.cover import makes_needless, rivals


class Duplicate:
    code = "L001"
    name = "duplicate"
    summary = "a rule that says what another rule already says"

    def run(self, subject: Subject) -> Iterator[Finding]:
        policy = subject.policy
        for number, rule, file in Numbered(subject):
            layer = Layer(policy.layers[number])
            for other in rivals(policy, number):
                twin, above = policy.rules[other], Layer(policy.layers[other])
                if (above, other) > (layer, number) or twin.meta.decision is not rule.meta.decision:
                    continue
                if not makes_needless(policy, twin, above, rule, layer):
                    continue
                if not makes_needless(policy, rule, layer, twin, layer):
                    continue
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING,
                    message=f"rule `{rule.meta.id}` says the same as `{twin.meta.id}`",
                    file=file,
                    origin=rule.meta.origin,
                    label=f"already at {twin.meta.origin}",
                    help="take one of them out",
                    removable=True,
                )
                break
