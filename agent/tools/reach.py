"""Which network the rules about hosts leave to a command."""

from __future__ import annotations

from agent.sandbox.spec import Network
from execpolicy.decision import Decision
from execpolicy.engine.policy import Policy
from execpolicy.hostname import is_loopback
from execpolicy.lang.rules import Mode
from execpolicy.values import frozen


@frozen
class Reach:
    """`usual`: where the verdict says nothing about the network. `most`: where it allows it."""

    usual: Network
    most: Network
    loopback: tuple[str, ...] = ()  # hosts of the user's loopback that rules do not deny


def reach(policy: Policy, session: Network) -> Reach:
    """What `policy` leaves, where `session` is the network that the settings give.

    INVARIANT: a rule that asks about a host, or denies one, holds also where the network is allowed.
    """
    found = [
        (host, policy.rules[number].meta)
        for host, numbers in policy.index.hosts.items()
        for number in numbers
    ]
    decisions = [meta.decision for _, meta in found if meta.mode is Mode.ENFORCE]
    loopback = tuple(
        dict.fromkeys(
            host
            for host, meta in found
            if meta.decision is not Decision.DENY and is_loopback(host.removeprefix("*."))
        )
    )
    strict = any(decision is not Decision.ALLOW for decision in decisions)
    most = Network.FILTERED if strict else Network.FULL
    if session is Network.FULL:
        return Reach(most, most, loopback)
    return Reach(Network.NAMED if decisions else session, most, loopback)
