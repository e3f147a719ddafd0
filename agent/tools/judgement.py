"""What the gate hands over: a verdict, told for a person and for a machine, and the confinement that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, assert_never

from agent.protocol.items import JsonObject
from agent.sandbox.spec import Network, SandboxSpec
from agent.tools.base import Request
from execpolicy.decision import NetworkAccess, Verdict


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


def confined(session: SandboxSpec, verdict: Verdict, most: Network = Network.FULL) -> SandboxSpec:
    """What a call is confined to: what the verdict asks for, and else what the session has.

    `most` is the network that a verdict which allows the network gives.

    The engine lets a verdict ask for more than the session has only where the rule about every single
    program asks for it.
    """
    asked = verdict.confinement
    match asked.network:
        case None:
            network = session.network
        case NetworkAccess.ALLOW:
            network = max(most, session.network, key=lambda one: one.power)
        case NetworkAccess.DENY:
            network = Network.NONE
        case _:
            assert_never(asked.network)
    return replace(session, mode=asked.sandbox or session.mode, network=network)
