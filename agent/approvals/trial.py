"""The policy as it would be with one more approval in it: the same engine answers what that would change."""

from __future__ import annotations

from collections.abc import Sequence

from execpolicy.decision import Layer
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Rule, RuleFile
from execpolicy.values import replace

MOST_RULES = 50_000  # of the policy: building it again for a question has to stay quick


def widened(policy: Policy, layer: Layer, rules: Sequence[Rule]) -> Policy:
    """`policy` with `rules` in `layer`. What it declares beside rules stays as it is."""
    layered: dict[Layer, list[Rule]] = {}
    for number, rule in enumerate(policy.rules):
        layered.setdefault(Layer(policy.layers[number]), []).append(rule)
    layered.setdefault(layer, []).extend(rules)
    built = Policy.build(
        [(one, RuleFile(path="", digest="", rules=tuple(found))) for one, found in sorted(layered.items())]
    )
    return replace(built, hosts=policy.hosts, defaults=policy.defaults, exceptions=policy.exceptions)
