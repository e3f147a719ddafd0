"""L012: an exception to a rule that there is not, or that it cannot open."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from execpolicy.decision import Decision, Layer
from execpolicy.diagnostics import Severity
from execpolicy.lint.base import Finding, Subject


class StrayException:
    code = "L012"
    name = "stray-exception"
    summary = "an exception to a rule that there is not, or that it cannot open"

    def run(self, subject: Subject) -> Iterator[Finding]:
        policy = subject.policy
        exceptions = [(file, one) for file in subject.files for one in file.rules.exceptions]
        if not exceptions:
            return
        layers: dict[str, Layer] = {}
        allows: set[str] = set()
        for number, rule in enumerate(policy.rules):
            layers[rule.meta.id] = Layer(policy.layers[number])
            if rule.meta.decision is Decision.ALLOW:
                allows.add(rule.meta.id)
        for file, exception in exceptions:
            to = exception.to
            help_ = ""
            if to not in layers:
                message = f"no rule has the id `{to}`"
                near = get_close_matches(to, list(layers)[:10_000], 1)
                help_ = (
                    f"did you mean `{near[0]}`?"
                    if near
                    else "load the file of the rule with `--rules` as well"
                )
            elif file.layer > layers[to]:
                message = f"rule `{to}` stands in a higher layer, which no exception of this one opens"
                help_ = "an exception opens rules of its own layer and of those below"
            elif to in allows:
                message = f"rule `{to}` is an allow: opening it takes the permission away"
                help_ = "exceptions are for asks and denies"
            else:
                continue
            yield Finding(
                code=self.code,
                severity=Severity.WARNING,
                message=message,
                file=file,
                origin=exception.origin,
                key="to",
                help=help_,
            )
