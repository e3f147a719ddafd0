"""A verdict in one sentence: why it is so, and what to do instead."""

from __future__ import annotations

from execpolicy.decision import Decision, Part, RuleMatch, Verdict


def reason(verdict: Verdict) -> str:
    """Why the verdict is what it is; a rule's own words where a rule decided."""
    rule = verdict.deciding
    if rule is not None:
        return rule.justification or f"rule `{rule.rule_id}` says {rule.decision.word}"
    for part in verdict.parts:
        if part.decision is verdict.decision:
            said = part.why or "; ".join(part.unknowns)
            if said:
                return said
    if verdict.unknowns:
        return "not known: " + "; ".join(verdict.unknowns)
    return "" if verdict.decision is Decision.ALLOW else "no rule allows it"


def way_out(verdict: Verdict) -> str:
    """What to do instead; empty when nothing is known."""
    rule = verdict.deciding
    if verdict.suggest:
        return verdict.suggest
    if rule is not None and rule.suggest:
        return rule.suggest
    return f"`{verdict.nearest}` is allowed" if verdict.nearest else ""


def rule_place(rule: RuleMatch) -> str:
    """`id (layer, file:line)`."""
    return f"{rule.rule_id} ({rule.origin.layer.word}, {rule.origin.path}:{rule.origin.line})"


def speaking(part: Part) -> tuple[RuleMatch, ...]:
    """The rules that made the part as strict as it is; one that is only watching is left out."""
    return tuple(match for match in part.matches if match.enforced and match.decision is part.decision)
