"""L002: a rule that another rule, as strict or stricter, speaks for wherever it speaks."""

from __future__ import annotations

from collections.abc import Iterator

from execpolicy.decision import Layer
from execpolicy.diagnostics import Severity
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Rule
from execpolicy.lint.base import Finding, LintFile, Numbered, Subject
from execpolicy.lint.cover import makes_needless, rivals, speaks_wherever


class Shadowed:
    code = "L002"
    name = "shadowed"
    summary = "a rule that another, as strict or stricter, always speaks for"

    def run(self, subject: Subject) -> Iterator[Finding]:
        policy = subject.policy
        for number, rule, file in Numbered(subject):
            other = self._covering(policy, number, rule)
            if other is not None:
                yield self._finding(rule, policy.rules[other], file)

    def _covering(self, policy: Policy, number: int, rule: Rule) -> int | None:
        layer = Layer(policy.layers[number])
        found: int | None = None
        for other in rivals(policy, number):
            wide, above = policy.rules[other], Layer(policy.layers[other])
            if not makes_needless(policy, wide, above, rule, layer):
                continue
            if speaks_wherever(rule, wide) and (above is layer or wide.meta.decision is rule.meta.decision):
                return None  # a duplicate or a conflict, which have checks of their own
            if found is None or wide.meta.decision > policy.rules[found].meta.decision:
                found = other
        return found

    def _finding(self, rule: Rule, wide: Rule, file: LintFile) -> Finding:
        meta, above = rule.meta, wide.meta
        silenced = above.decision > meta.decision
        own_words = meta.justification is not None or meta.suggest is not None
        if silenced:
            message = f"rule `{meta.id}` never decides: `{above.id}` is stricter and speaks wherever it does"
        else:
            message = (
                f"rule `{meta.id}` changes nothing: `{above.id}` says {above.decision.word} wherever it does"
            )
        return Finding(
            code=self.code,
            severity=Severity.WARNING if silenced or not own_words else Severity.NOTE,
            message=message,
            file=file,
            origin=meta.origin,
            label=f"covered at {above.origin}",
            help="narrow the other rule, or take this one out"
            if silenced
            else "take it out, or keep it for its own reason and say so: `# lint: ignore L002 because ...`",
            removable=silenced or not own_words,
        )
