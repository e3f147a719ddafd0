"""What the gate hands over: a verdict, told for a person and for a machine, and the confinement that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from agent.protocol.items import JsonObject
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import Request
from execpolicy.decision import Confinement, Decision, NetworkAccess, SandboxMode, Verdict

_POWER = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)


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


def stricter(verdict: Verdict, of_tool: Verdict) -> Verdict:
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
        confinement=_tighter(verdict.confinement, of_tool.confinement),
        suggest=of_tool.suggest if harder else verdict.suggest,
        scope=of_tool.scope or verdict.scope if harder else verdict.scope,
    )


def _tighter(one: Confinement, other: Confinement) -> Confinement:
    modes = [mode for mode in (one.sandbox, other.sandbox) if mode is not None]
    networks = {one.network, other.network} - {None}
    return Confinement(
        sandbox=min(modes, key=_POWER.index) if modes else None,
        network=NetworkAccess.DENY
        if NetworkAccess.DENY in networks
        else (NetworkAccess.ALLOW if networks else None),
    )


def confined(session: SandboxSpec, verdict: Verdict) -> SandboxSpec:
    """What a call is confined to.

    A rule may always take power away. It gives more than the session has only where the whole call is
    one command, so that the rule that asked for it is the rule that speaks about all that runs.
    """
    asked = verdict.confinement
    commands = [part for part in verdict.parts if part.kind == "command"]
    alone = len(commands) == 1 and any(match.enforced for match in commands[0].matches)
    mode, network = session.mode, session.network
    if asked.sandbox is not None and (alone or _POWER.index(asked.sandbox) < _POWER.index(mode)):
        mode = asked.sandbox
    if asked.network is NetworkAccess.DENY or (asked.network is NetworkAccess.ALLOW and alone):
        network = asked.network is NetworkAccess.ALLOW
    return replace(session, mode=mode, network=network)
