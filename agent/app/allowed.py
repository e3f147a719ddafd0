"""A network for one command that somebody types: the hosts that are named, and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.app.network import Rules
from agent.errors import AgentError
from agent.network.background import BackgroundDoor
from agent.network.base import Bounds, Connection, Ruling, Target
from agent.network.guard import Guard
from execpolicy.decision import Decision, Layer
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.hostname import is_loopback
from execpolicy.lang.hosts import BadHost, read_host
from execpolicy.lang.lower import parse_rules
from execpolicy.values import replace

_OPTION = "--allow-host"


class _Named(Rules):
    def judge(self, target: Target) -> Ruling:
        ruling = super().judge(target)
        if ruling.decision is Decision.ALLOW:
            return ruling
        why = f"no {_OPTION} names it"
        return replace(ruling, decision=Decision.DENY, reason=why, help=f"{_OPTION} {target}")


class _Nobody:
    """Keeps no record: whoever types the command sees what was refused."""

    def saw(self, connection: Connection) -> None:
        pass


def loopback_of(hosts: Sequence[str]) -> tuple[str, ...]:
    """Those of `hosts` that mean this machine's own loopback interface. Raises `AgentError`."""
    return tuple(host for host, _ in map(_read, hosts) if is_loopback(host.removeprefix("*.")))


def allowing(hosts: Sequence[str], folder: str) -> BackgroundDoor:
    """A door to `hosts`, each a name, `*.name` or address, with or without a port. Raises `AgentError`."""
    for host in hosts:
        _read(host)
    text = "".join(f'network_rule(host = {json.dumps(host)}, decision = "allow")\n' for host in hosts)
    parsed = parse_rules(text, _OPTION, Layer.SESSION)
    if parsed.diagnostics:
        raise AgentError(f"{_OPTION}: {parsed.diagnostics[0].message}", "write HOST, HOST:PORT or *.HOST")
    policy = Policy.build([(Layer.SESSION, parsed.file)])
    context = CheckContext(cwd=folder, workspace=folder)
    rules = _Named(lambda: policy, lambda: context, free=False)
    return BackgroundDoor(lambda resolver: Guard(rules, _Nobody(), resolver, Bounds()))


def _read(host: str) -> tuple[str, int | None]:
    try:
        return read_host(host)
    except BadHost as error:
        raise AgentError(f"{_OPTION} `{host}`: the host {error}", "write HOST, HOST:PORT or *.HOST") from None
