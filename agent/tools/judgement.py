"""What the gate hands over: a verdict, told for a person and for a machine, and the confinement that follows."""

from __future__ import annotations

from typing import Protocol, assert_never, cast

from agent.config.asking import Ask, AskPolicy
from agent.protocol.items import JsonObject
from agent.sandbox.spec import Network, SandboxSpec
from agent.tools.base import Request
from compliance.events import Asked, CommandRead, LookedUp, Situated
from execpolicy.decision import NetworkAccess, SandboxMode, Verdict
from execpolicy.engine import explain
from execpolicy.engine.context import FactValue
from execpolicy.values import frozen, replace

MODE_FACT, SANDBOX_FACT, NETWORK_FACT = "gate.approval_policy", "gate.most_sandbox", "gate.most_network"


@frozen(kw_only=True)
class Basis:
    """What a judgement rested on, for the record."""

    asked: Asked
    situated: Situated
    would: str  # the decision if the rules in audit mode were enforced, too
    today: str
    minute: int
    commands: tuple[CommandRead, ...]
    readable: bool
    lookups: tuple[LookedUp, ...]


@frozen
class Judgement:
    """A verdict, told twice, and what the call is confined to if it runs."""

    verdict: Verdict
    explanation: tuple[str, ...]  # for a person
    details: JsonObject  # for a machine
    spec: SandboxSpec
    analysed: bool = True  # False: the judging itself failed
    basis: Basis | None = None
    kinds: frozenset[Ask] = frozenset()  # what an ask is about
    person_only: bool = False  # a rule says that a person answers

    @staticmethod
    def of(verdict: Verdict, spec: SandboxSpec, kinds: frozenset[Ask], *, person_only: bool) -> Judgement:
        """`verdict`, told."""
        details = cast("JsonObject", explain.to_json(verdict))
        lines = tuple(explain.lines(verdict))
        return Judgement(verdict, lines, details, spec, kinds=kinds, person_only=person_only)


class Judge(Protocol):
    def judge(self, tool: str, request: Request) -> Judgement:
        """The judgement over everything that `request` would do. Never raises."""
        ...


@frozen
class Owner:
    """The most power that the owner of the machine lets anything run with."""

    sandbox: SandboxMode = SandboxMode.FULL_ACCESS
    network: bool = True

    def why_not_outside(self) -> str:
        """Why nothing may run outside the sandbox; empty where it may."""
        if self.sandbox is not SandboxMode.FULL_ACCESS:
            return f"the owner of this machine lets nothing run with more power than {self.sandbox.value}"
        if not self.network:
            return "the owner of this machine keeps the network closed, and outside the sandbox it is open"
        return ""


def facts_of(asking: AskPolicy, owner: Owner) -> dict[str, FactValue]:
    """What takes part in a verdict beside rules and surroundings, for the record; no rule can ask for it."""
    return {MODE_FACT: asking.mode.value, SANDBOX_FACT: owner.sandbox.value, NETWORK_FACT: owner.network}


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
