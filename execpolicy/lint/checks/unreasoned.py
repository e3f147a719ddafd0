"""L006: an ask or deny that does not say why, or what to do instead."""

from __future__ import annotations

from collections.abc import Iterator

from execpolicy.decision import Decision
from execpolicy.diagnostics import Severity
from execpolicy.lint.base import Finding, Numbered, Subject


class Unreasoned:
    code = "L006"
    name = "unreasoned"
    summary = "an ask or deny without a reason or a way out"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for _, rule, file in Numbered(subject):
            meta = rule.meta
            if meta.decision is Decision.ALLOW or (meta.justification and meta.suggest):
                continue
            missing = not meta.justification
            yield Finding(
                code=self.code,
                severity=Severity.WARNING if missing else Severity.NOTE,
                message=f"rule `{meta.id}` says {meta.decision.word} and not "
                + ("why" if missing else "what to do instead"),
                file=file,
                origin=meta.origin,
                help='add `justification = "..."`: it is told to the person and to the model'
                if missing
                else 'add `suggest = "..."`: the way out',
            )
