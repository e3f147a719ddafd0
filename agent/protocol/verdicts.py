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
    """`id (layer, file:line)`; a rule that got no id of its own is named by its place alone."""
    place = f"{rule.origin.path}:{rule.origin.line}"
    layer = rule.origin.layer.word
    if place.endswith("/" + rule.rule_id) or place == rule.rule_id:
        return f"{place} ({layer})"
    return f"{rule.rule_id} ({layer}, {place})"


def remarkable(verdict: Verdict) -> bool:
    """Whether a person wants to see it: not where a tool of ours did what touches nothing and no rule spoke."""
    return verdict.decision is not Decision.ALLOW or any(
        part.kind != "tool" or part.matches for part in verdict.parts
    )


def headed(tool: str, subject: str) -> str:
    """What is judged, with the name of its tool where that does not go without saying."""
    if tool == "exec_command":
        return f"$ {subject}"
    return subject if subject.startswith(tool) else f"{tool} {subject}"


def speaking(part: Part) -> tuple[RuleMatch, ...]:
    """The rules that made the part as strict as it is; one that is only watching is left out."""
    return tuple(match for match in part.matches if match.enforced and match.decision is part.decision)
