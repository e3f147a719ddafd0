"""L007: a rule about commands or files without an example of what it matches and what it does not."""

from __future__ import annotations

from collections.abc import Iterator

from execpolicy.diagnostics import Severity
from execpolicy.lang.rules import NetworkRule, ToolRule
from execpolicy.lint.base import Finding, Numbered, Subject


class Unexampled:
    code = "L007"
    name = "unexampled"
    summary = "a rule without examples"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for _, rule, file in Numbered(subject):
            if isinstance(rule, NetworkRule | ToolRule) or rule.match:
                continue
            yield Finding(
                code=self.code,
                severity=Severity.NOTE,
                message=f"rule `{rule.meta.id}` has no example of what it matches",
                file=file,
                origin=rule.meta.origin,
                help='add `match = ["..."]` and `not_match = ["..."]`: they are run whenever the file is loaded',
            )
