"""What the gate hands over: a verdict, told for a person and for a machine, and the confinement that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from agent.protocol.items import JsonObject
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import Request
from execpolicy.decision import Confinement, Decision, NetworkAccess, SandboxMode, Scope, Verdict

_POWER = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)
_REACH = (Scope.ONCE, Scope.SESSION, Scope.PROJECT)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, told twice, and what the call is confined to if it runs."""

    verdict: Verdict
    explanation: tuple[str, ...]  # for a person
    details: JsonObject  # for a machine
    spec: SandboxSpec
    analysed: bool = True  # False: the judging itself failed


class Judge(Protocol):
    def judge(self, tool: str, request: Request) -> Judgement:
        """The judgement over everything that `request` would do. Never raises."""
        ...


def stricter(verdict: Verdict, of_tool: Verdict, session: SandboxSpec) -> Verdict:
    """`verdict`, made stricter by what the rules about the tool itself say. Their silence adds nothing."""
    speaks = any(match.enforced and match.decision is not Decision.ALLOW for match in of_tool.matches)
    if not speaks:
        return verdict
    harder = of_tool.decision > verdict.decision
    return replace(
        verdict,
        decision=max(verdict.decision, of_tool.decision),
        parts=(*verdict.parts, *of_tool.parts),
        unknowns=tuple(dict.fromkeys((*verdict.unknowns, *of_tool.unknowns))),
        confinement=_tighter(verdict.confinement, of_tool.confinement, session),
        suggest=of_tool.suggest if harder else verdict.suggest,
        scope=min(filter(None, (verdict.scope, of_tool.scope)), key=_REACH.index, default=None),
    )


def _tighter(one: Confinement, other: Confinement, session: SandboxSpec) -> Confinement:
    modes = (one.sandbox or session.mode, other.sandbox or session.mode)
    network = NetworkAccess.DENY if other.network is NetworkAccess.DENY else one.network
    return Confinement(sandbox=min(modes, key=_POWER.index), network=network)


def confined(session: SandboxSpec, verdict: Verdict) -> SandboxSpec:
    """What a call is confined to: what the verdict asks for, and else what the session has.

    The engine lets a verdict ask for more than the session has only where the rule about every single
    program asks for it.
    """
    asked = verdict.confinement
    return replace(
        session,
        mode=asked.sandbox or session.mode,
        network=session.network if asked.network is None else asked.network is NetworkAccess.ALLOW,
    )
