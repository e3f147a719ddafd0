"""Which network rules about hosts leave to a command."""

from __future__ import annotations

import pytest

from agent.sandbox.spec import Network, SandboxSpec
from agent.tools.base import RunScript
from agent.tools.gate import Gate
from agent.tools.judgement import Owner
from agent.tools.reach import Reach, reach
from execpolicy.decision import Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules

NONE, NAMED, FILTERED, FULL = Network
ALLOW = 'network_rule(host = "a.test", decision = "allow")\n'
ASK = 'network_rule(host = "b.test", decision = "ask")\n'
DENY = 'network_rule(host = "c.test", decision = "deny", justification = "bad")\n'
WATCHED = 'network_rule(host = "c.test", decision = "deny", justification = "bad", mode = "audit")\n'


def rules(text: str) -> Policy:
    parsed = parse_rules(text, "t.rules", Layer.USER)
    assert parsed.diagnostics == ()
    return Policy.build([(Layer.USER, parsed.file)])


@pytest.mark.parametrize(
    ("text", "session", "want"),
    [
        pytest.param("", NONE, Reach(NONE, FULL), id="no-rules"),
        pytest.param("", FULL, Reach(FULL, FULL), id="open"),
        pytest.param(ALLOW, NONE, Reach(NAMED, FULL), id="an-allow"),
        pytest.param(ALLOW, FULL, Reach(FULL, FULL), id="an-allow-and-open"),
        pytest.param(DENY, NONE, Reach(NAMED, FILTERED), id="a-deny"),
        pytest.param(DENY, FULL, Reach(FILTERED, FILTERED), id="a-deny-and-open"),
        pytest.param(ASK + ALLOW, FULL, Reach(FILTERED, FILTERED), id="an-ask-and-open"),
        pytest.param(WATCHED, FULL, Reach(FULL, FULL), id="only-watched"),
        pytest.param(WATCHED, NONE, Reach(NONE, FULL), id="only-watched-and-closed"),
    ],
)
def test_reach(text: str, session: Network, want: Reach) -> None:
    assert reach(rules(text), session) == want


PROGRAMS = (
    'prefix_rule(pattern = ["plain"], decision = "allow")\n'
    'prefix_rule(pattern = ["opens"], decision = "allow", network = "allow")\n'
    'prefix_rule(pattern = ["closes"], decision = "allow", network = "deny")\n'
)


@pytest.mark.parametrize(
    ("text", "session", "script", "owner", "want"),
    [
        pytest.param("", NONE, "plain", True, NONE, id="none"),
        pytest.param("", NONE, "opens", True, FULL, id="a-rule-opens"),
        pytest.param("", NONE, "opens; plain", True, NONE, id="not-for-all"),
        pytest.param("", FULL, "closes", True, NONE, id="a-rule-closes"),
        pytest.param("", FULL, "plain", True, FULL, id="the-setting-opens"),
        pytest.param("", NONE, "opens", False, NONE, id="the-owner-closes"),
        pytest.param(ALLOW, NONE, "plain", True, NAMED, id="named"),
        pytest.param(ALLOW, NONE, "opens", True, FULL, id="named-and-opened"),
        pytest.param(ALLOW, NONE, "closes", True, NONE, id="named-and-closed"),
        pytest.param(ALLOW, NONE, "plain", False, NONE, id="named-and-the-owner"),
        pytest.param(DENY, NONE, "opens", True, FILTERED, id="filtered"),
        pytest.param(DENY, FULL, "plain", True, FILTERED, id="the-setting-filtered"),
    ],
)
def test_what_a_command_gets(text: str, session: Network, script: str, owner: bool, want: Network) -> None:
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/ws", network=session)
    gate = Gate(
        rules(PROGRAMS + text),
        lambda cwd: CheckContext(cwd=cwd, workspace="/ws"),
        spec,
        owner=Owner(network=owner),
    )
    assert gate.judge("exec_command", RunScript(script=script, cwd="/ws")).spec.network is want


def test_only_the_whole_network_is_true() -> None:
    assert [kind for kind in Network if kind] == [FULL]
    assert [kind for kind in Network if kind.proxied] == [NAMED, FILTERED]


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ('network_rule(host="127.0.0.1", port=8080, decision="allow")', ("127.0.0.1",)),
        ('network_rule(host="localhost", decision="ask")', ("localhost",)),
        ('network_rule(host="0x7f.1", decision="allow")', ("127.0.0.1",)),
        ('network_rule(host="localhost", decision="deny")', ()),
        ('network_rule(host="example.com", decision="allow")', ()),
    ],
)
def test_loopback_that_rules_name(text: str, loopback: tuple[str, ...]) -> None:
    assert reach(rules(text), Network.NONE).loopback == loopback
