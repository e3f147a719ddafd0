"""L009: a rule or exception that has ended, or ends soon."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Final

from execpolicy.diagnostics import Severity
from execpolicy.lint.base import Finding, Numbered, Subject

SOON: Final = 30  # days


class Expiring:
    code = "L009"
    name = "expiring"
    summary = "a rule or exception that has ended or ends soon"

    def run(self, subject: Subject) -> Iterator[Finding]:
        if subject.today is None:
            return
        today = datetime.date.fromisoformat(subject.today)
        soon = (today + datetime.timedelta(days=SOON)).isoformat()
        for _, rule, file in Numbered(subject):
            end = rule.meta.expires
            if end is not None and end <= soon:
                over = end < subject.today
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING if over else Severity.NOTE,
                    message=f"rule `{rule.meta.id}` "
                    + (f"ended on {end} and no longer applies" if over else f"ends on {end}"),
                    file=file,
                    origin=rule.meta.origin,
                    key="expires",
                    help="take it out, or decide anew until when it applies",
                    removable=over and rule.meta.id not in subject.policy.exceptions,
                )
        for file in subject.files:
            for exception in file.rules.exceptions:
                if exception.until > soon:
                    continue
                over = exception.until < subject.today
                yield Finding(
                    code=self.code,
                    severity=Severity.WARNING if over else Severity.NOTE,
                    message=f"the exception to `{exception.to}` "
                    + (f"ended on {exception.until}" if over else f"ends on {exception.until}"),
                    file=file,
                    origin=exception.origin,
                    key="until",
                    help="take it out, or have it approved again",
                    removable=over,
                )
