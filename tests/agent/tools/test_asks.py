"""What the approval policy and the owner's limits make of a verdict."""

from __future__ import annotations

import re
from typing import Any

import pytest

from agent.config.asking import Ask, AskPolicy, Mode
from agent.sandbox.spec import SandboxSpec
from agent.tools.asks import untrusted
from agent.tools.base import CallServer, ChangeFiles, Request, RunScript, UseTool
from agent.tools.gate import Gate
from agent.tools.judgement import Judgement, Owner
from execpolicy.decision import Decision, Layer, SandboxMode
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.facts import Access
from execpolicy.lang.lower import parse_rules

RULES = """
prefix_rule(pattern = ["ls"], decision = "allow", id = "ls")
prefix_rule(pattern = ["rm"], decision = "deny")
prefix_rule(pattern = ["make"], decision = "ask", reviewer = "user")
prefix_rule(pattern = ["kept"], decision = "allow", sandbox = "read-only", id = "kept")
"""


def judged(
    request: Request, tool: str = "exec_command", layer: Layer = Layer.USER, **about: Any
) -> Judgement:
    parsed = parse_rules(RULES, "x.rules", layer)
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/w")
    policy = Policy.build([(layer, parsed.file)])
    gate = Gate(policy, lambda cwd: CheckContext(cwd=cwd, workspace="/w"), spec, **about)
    return gate.judge(tool, request)


def script(text: str, **about: Any) -> RunScript:
    return RunScript(script=text, cwd="/w", **about)


@pytest.mark.parametrize(
    ("request_", "tool", "want"),
    [
        pytest.param(script("ls"), "exec_command", Decision.ALLOW, id="a-rule-allows"),
        pytest.param(script("timeout 5 ls"), "exec_command", Decision.ALLOW, id="only-passed-on"),
        pytest.param(script("cat x | ls"), "exec_command", Decision.ASK, id="one-by-silence"),
        pytest.param(script("X=1"), "exec_command", Decision.ASK, id="no-rule-at-all"),
        pytest.param(script("ls > out"), "exec_command", Decision.ASK, id="writes-by-silence"),
        pytest.param(script("ls < in"), "exec_command", Decision.ALLOW, id="reads-by-silence"),
        pytest.param(script("rm x"), "exec_command", Decision.DENY, id="denied"),
        pytest.param(
            ChangeFiles(accesses=(("/w/a", Access.WRITE),), cwd="/w", subject="a"),
            "apply_patch",
            Decision.ASK,
            id="patch",
        ),
        pytest.param(
            ChangeFiles(accesses=(("/w/a", Access.READ),), cwd="/w", subject="a"),
            "view_image",
            Decision.ALLOW,
            id="image",
        ),
        pytest.param(
            UseTool(subject="plan", cwd="/w", arguments={}), "update_plan", Decision.ALLOW, id="plan"
        ),
    ],
)
def test_untrusted_asks_about_what_no_rule_allows(request_: Request, tool: str, want: Decision) -> None:
    found = judged(request_, tool, asking=AskPolicy(Mode.UNTRUSTED))
    assert found.verdict.decision is want
    usual = judged(request_, tool).verdict.decision
    assert found.verdict.decision >= usual  # it is never less strict


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("timeout 5 ls", Decision.ALLOW),
        ("env ls; env", Decision.ASK),
        ("docker exec c ls; docker run x", Decision.ASK),
        ("find . -exec ls {} \\; ; find . -name x", Decision.ASK),
        ("sudo ls", Decision.ASK),
    ],
)
def test_untrusted_lets_only_what_passes_on_go_where_silence_allows(text: str, want: Decision) -> None:
    """Another command of the same program passes nothing on, and neither does what adds power."""
    parsed = parse_rules(f'defaults(unmatched = "allow")\n{RULES}', "x.rules", Layer.USER)
    policy = Policy.build([(Layer.USER, parsed.file)])
    verdict = check(text, policy, CheckContext(cwd="/w", workspace="/w"))
    assert verdict.decision is Decision.ALLOW
    assert untrusted(script(text), verdict).decision is want


def test_an_escalation_is_of_its_kind() -> None:
    inside = judged(script("other"))
    assert inside.kinds == {Ask.COMMANDS}
    assert judged(script("ls", escalate=True)).kinds == {Ask.ESCALATION}
    assert judged(script("other", escalate=True)).kinds == {Ask.ESCALATION, Ask.COMMANDS}
    assert judged(script("ls")).kinds == frozenset()
    server = CallServer(server="s", tool="t", arguments={}, cwd="/w")
    assert judged(server, "t").kinds == {Ask.TOOLS}


@pytest.mark.parametrize(
    ("about", "layer", "text", "why"),
    [
        ({"owner": Owner(SandboxMode.WORKSPACE_WRITE)}, Layer.USER, "ls", "no more power|with more power"),
        ({"owner": Owner(network=False)}, Layer.USER, "ls", "network closed"),
        ({}, Layer.MANAGED, "kept", "rule `kept` of the owner"),
        ({"asking": AskPolicy(Mode.ON_FAILURE)}, Layer.USER, "ls", "inside the sandbox first"),
    ],
)
def test_what_nobody_may_grant_is_refused_at_once(
    about: dict[str, Any], layer: Layer, text: str, why: str
) -> None:
    found = judged(script(text, escalate=True), layer=layer, **about).verdict
    assert found.decision is Decision.DENY
    assert re.search(why, found.parts[-1].why)


def test_what_the_owner_does_not_limit_is_asked() -> None:
    assert judged(script("kept", escalate=True)).verdict.decision is Decision.ASK
    again = judged(script("ls", escalate=True, failed=True), asking=AskPolicy(Mode.ON_FAILURE))
    assert again.verdict.decision is Decision.ASK


def test_a_rule_that_wants_a_person_says_so() -> None:
    assert judged(script("make")).person_only
    assert not judged(script("other")).person_only
    assert not judged(script("rm x")).person_only
