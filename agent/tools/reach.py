"""Which network the rules about hosts leave to a command."""

from __future__ import annotations

from agent.sandbox.spec import Network
from execpolicy.decision import Decision
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Mode
from execpolicy.values import frozen


@frozen
class Reach:
    """`usual`: where the verdict says nothing about the network. `most`: where it allows it."""

    usual: Network
    most: Network


def reach(policy: Policy, session: Network) -> Reach:
    """What `policy` leaves, where `session` is the network that the settings give.

    INVARIANT: a rule that asks about a host, or denies one, holds also where the network is allowed.
    """
    rules = [policy.rules[number] for numbers in policy.index.hosts.values() for number in numbers]
    decisions = [rule.meta.decision for rule in rules if rule.meta.mode is Mode.ENFORCE]
    strict = any(decision is not Decision.ALLOW for decision in decisions)
    most = Network.FILTERED if strict else Network.FULL
    if session is Network.FULL:
        return Reach(most, most)
    return Reach(Network.NAMED if decisions else session, most)
