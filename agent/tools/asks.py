"""What the approval policy makes of a verdict, and what an ask is about."""

from __future__ import annotations

from typing import assert_never

from agent.config.asking import Ask
from agent.tools.base import CallServer, ChangeFiles, FeedProgram, Request, RunScript, UseTool
from execpolicy.decision import PASSES_ON, Decision, Layer, Part, Reviewer, SandboxMode, Verdict
from execpolicy.engine.policy import Policy
from execpolicy.values import replace


def untrusted(request: Request, verdict: Verdict) -> Verdict:
    """An allow that no rule spoke becomes an ask. Reading, and what only passes another command on, needs no rule."""
    if verdict.decision is not Decision.ALLOW or isinstance(request, UseTool):
        return verdict
    parts = tuple(
        part
        if part.kind == "read"
        or part.why == PASSES_ON
        or any(match.enforced and match.decision is Decision.ALLOW for match in part.matches)
        else replace(part, decision=Decision.ASK, why="approval_policy is `untrusted`, and no rule allows it")
        for part in verdict.parts
    )
    decision = max((part.decision for part in parts), default=Decision.ASK)
    return replace(verdict, decision=decision, parts=parts)


def kept_inside(policy: Policy, verdict: Verdict) -> str:
    """Which rule of the owner of this machine keeps it in a sandbox; empty where none does."""
    spoke = {
        match.rule_id for match in verdict.matches if match.enforced and match.origin.layer is Layer.MANAGED
    }
    if not spoke:
        return ""
    for number in range(policy.layers.count(Layer.MANAGED)):  # they come first
        meta = policy.rules[number].meta
        if meta.id in spoke and meta.sandbox not in (None, SandboxMode.FULL_ACCESS):
            return f"rule `{meta.id}` of the owner of this machine keeps it in {meta.sandbox.value}"
    return ""


def denied(verdict: Verdict, text: str, why: str) -> Verdict:
    """`verdict`, and it is refused at once."""
    part = Part(kind="tool", text=text, decision=Decision.DENY, why=why)
    way = verdict.suggest if verdict.decision is Decision.DENY else "run it inside the sandbox"
    return replace(verdict, decision=Decision.DENY, parts=(*verdict.parts, part), suggest=way)


def kinds_of(request: Request, verdict: Verdict) -> frozenset[Ask]:
    """What an ask is about: all of it has to reach somebody. Nothing where nothing is asked."""
    asked = [part for part in verdict.parts if part.decision is Decision.ASK]
    if verdict.decision is not Decision.ASK:
        return frozenset()
    kinds: set[Ask] = set()
    match request:
        case RunScript(escalate=escalate):
            if escalate:
                kinds.add(Ask.ESCALATION)
            if not escalate or any(part.kind not in ("tool", "network") for part in asked):
                kinds.add(Ask.COMMANDS)
        case FeedProgram():
            kinds.add(Ask.COMMANDS)
        case CallServer() | UseTool():
            kinds.add(Ask.TOOLS)
        case ChangeFiles():
            kinds.add(Ask.PATCHES)
        case _:
            assert_never(request)
    if any(part.kind == "network" for part in asked):
        kinds.add(Ask.NETWORK)
    return frozenset(kinds)


def for_a_person(policy: Policy, verdict: Verdict) -> bool:
    """Whether a rule that spoke says that a person answers."""
    if verdict.decision is not Decision.ASK:
        return False
    spoke = {(match.origin.layer, match.rule_id) for match in verdict.matches if match.enforced}
    return bool(spoke) and any(
        (Layer(policy.layers[number]), rule.meta.id) in spoke and rule.meta.reviewer is Reviewer.USER
        for number, rule in enumerate(policy.rules)
    )
